//! The least possible time of a job, from latency, bandwidth and CPU time. Pure functions.

/// Rows of an index page of the real site and of the embedded market.
const INDEX_ROWS: usize = 46;

/// The properties of a job that bound its time from below.
#[derive(Debug, Clone, Copy)]
pub struct JobModel {
    /// Company pages, or addresses of a list.
    pub pages: usize,
    /// Requests in flight at the same time.
    pub in_flight: usize,
    /// Whether the addresses come from an index, which is fetched first.
    pub has_index: bool,
    /// The least seconds from sending a request to receiving its page.
    pub latency: f64,
    /// The most seconds that are added to the latency of a request, uniformly distributed.
    pub jitter: f64,
    /// Seconds to transfer all bytes.
    pub transfer: f64,
    /// Seconds of CPU time of the contender, divided by the number of cores.
    pub computing: f64,
}

impl JobModel {
    fn index_pages(&self) -> usize {
        if self.has_index {
            self.pages.div_ceil(INDEX_ROWS).max(1)
        } else {
            0
        }
    }

    /// The least number of latencies after each other.
    ///
    /// Wave 1 is page 1 of the index. The exchange rate is fetched beside it, or after it with one request
    /// in flight. Each further wave has as many requests as may be in flight: the rest of the index first,
    /// because it lists the companies that the waves after it request.
    pub fn waves(&self) -> usize {
        if !self.has_index {
            return self.pages.div_ceil(self.in_flight);
        }
        let mut waves = if self.in_flight == 1 { 2 } else { 1 };
        let (mut index_pages, mut fetched) = (1, 0);
        while fetched < self.pages {
            let known = self.pages.min(index_pages * INDEX_ROWS);
            let of_index = self.in_flight.min(self.index_pages() - index_pages);
            fetched += (known - fetched).min(self.in_flight - of_index);
            index_pages += of_index;
            waves += 1;
        }
        waves
    }

    /// The least seconds of waiting: the waves, or, with jitter, what Little's law gives for the mean
    /// latency if that is longer: time = requests × latency ÷ in flight.
    ///
    /// The mean of the jitter is taken three standard errors below its expectation, so that fewer than
    /// two in a thousand jobs have a smaller one. Its variance is that of the uniform distribution,
    /// jitter² ÷ 12.
    pub fn waiting(&self) -> f64 {
        let requests = (self.pages + self.index_pages()) as f64;
        let standard_error = self.jitter / (12.0 * requests.max(1.0)).sqrt();
        let mean = self.latency + (self.jitter / 2.0 - 3.0 * standard_error).max(0.0);
        let queued = requests * mean / self.in_flight as f64;
        let waves = self.waves() as f64 * self.latency;
        if self.jitter > 0.0 {
            waves.max(queued)
        } else {
            waves
        }
    }

    /// The least possible time in seconds: waiting, transfer and computing overlap at best, so it is the
    /// longest of them.
    pub fn minimum(&self) -> f64 {
        self.waiting().max(self.transfer).max(self.computing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pages: usize, in_flight: usize, latency: f64) -> JobModel {
        JobModel {
            pages,
            in_flight,
            has_index: true,
            latency,
            jitter: 0.0,
            transfer: 0.0,
            computing: 0.0,
        }
    }

    #[track_caller]
    fn assert_close(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() < 1e-9,
            "{value} instead of {expected}"
        );
    }

    #[test]
    fn counts_waves_with_those_of_the_index() {
        for (pages, in_flight, expected) in [
            // One request at a time: 3 index pages, the exchange rate, 100 companies.
            (100, 1, 104),
            // The index page alone, then 102 requests.
            (100, 32, 5),
            // Wave 2: the rest of the index, and the 46 companies of page 1. Wave 3: the 54 others, if they
            // may all be in flight.
            (100, 48, 4),
            (100, 128, 3),
            (100, 50, 4),
            (100, 54, 3),
            // Wave 2: 10 index pages and 22 companies. 15 waves for the 474 others.
            (496, 32, 17),
            (496, 128, 6),
            // Wave 2: 10 index pages and 46 companies. Wave 3: the 450 others.
            (496, 1024, 3),
            (46, 46, 2),
            (47, 46, 3),
            (1, 32, 2),
            (0, 32, 1),
            (0, 1, 2),
        ] {
            let waves = job(pages, in_flight, 0.05).waves();
            assert_eq!(waves, expected, "{pages} pages, {in_flight} in flight");
        }
        let list = JobModel {
            has_index: false,
            ..job(100, 32, 0.05)
        };
        assert_eq!(list.waves(), 4);
    }

    #[test]
    fn minimum_is_the_longest_of_waiting_transfer_and_computing() {
        let waiting = job(100, 128, 0.05);
        assert_close(waiting.minimum(), 0.15);
        let computing = 0.2;
        assert_close(
            JobModel {
                computing,
                ..waiting
            }
            .minimum(),
            0.2,
        );
        let transfer = 0.3;
        assert_close(
            JobModel {
                computing,
                transfer,
                ..waiting
            }
            .minimum(),
            0.3,
        );
    }

    #[test]
    fn jitter_adds_a_little_less_than_its_mean() {
        let jitter = 0.02;
        // 103 requests: the standard error of the mean is 0.02 ÷ √1,236.
        let mean = 0.05 + 0.01 - 3.0 * 0.02 / 1236_f64.sqrt();
        let one_by_one = JobModel {
            jitter,
            ..job(100, 1, 0.05)
        };
        assert_close(one_by_one.waiting(), 103.0 * mean);
        let all_at_once = JobModel {
            jitter,
            ..job(100, 128, 0.05)
        };
        assert_close(all_at_once.waiting(), 0.15);
    }
}
