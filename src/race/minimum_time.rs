//! The minimum time for a job, from latency, bandwidth and CPU time. Pure functions.

/// The properties of a job that determine its minimum time.
#[derive(Debug, Clone, Copy)]
pub struct JobModel {
    pub pages: usize,
    /// Pages requested at the same time.
    pub in_flight: usize,
    /// Seconds from sending a request to receiving its page.
    pub latency: f64,
    /// For addresses from an index: the number of pages listed on its first page. The other
    /// addresses are known one latency later.
    pub first_index_rows: Option<usize>,
    /// Seconds to transfer all bytes.
    pub transfer: f64,
    /// Seconds of CPU time, divided by the number of cores.
    pub computing: f64,
}

impl JobModel {
    /// The minimum waiting time in seconds, by Little's law: throughput = in flight ÷ latency.
    ///
    /// It is a whole number of waves. One wave fetches page 1 of the index. The next one fetches
    /// the pages listed there, beside the rest of the index. The remaining pages follow.
    pub fn waiting(&self) -> f64 {
        let (first_waves, rest) = match self.first_index_rows {
            None => (0, self.pages),
            Some(rows) => (2, self.pages.saturating_sub(rows.min(self.in_flight))),
        };
        (first_waves + rest.div_ceil(self.in_flight)) as f64 * self.latency
    }

    /// The minimum total time in seconds: the longest of waiting, transfer and computing, which
    /// overlap. Computing on the pages of the last wave cannot start before they arrive.
    pub fn minimum(&self) -> f64 {
        let first_wave = self
            .first_index_rows
            .unwrap_or(0)
            .min(self.in_flight)
            .min(self.pages);
        let rest = self.pages.saturating_sub(first_wave);
        let last_wave = match rest % self.in_flight {
            0 if rest == 0 => first_wave,
            0 => self.in_flight,
            partial => partial,
        };
        let computing_last_wave = self.computing * last_wave as f64 / self.pages.max(1) as f64;
        let waiting = if self.latency > 0.0 {
            self.waiting() + computing_last_wave
        } else {
            0.0
        };
        waiting.max(self.transfer).max(self.computing)
    }

    /// The smallest number of pages in flight that gives the shortest possible time. More pages in
    /// flight gain nothing: waiting is then hidden by transfer or computing, or cannot shrink.
    pub fn sufficient_in_flight(&self) -> usize {
        let with = |in_flight| JobModel { in_flight, ..*self };
        let reachable = with(self.pages.max(1))
            .waiting()
            .max(self.computing)
            .max(self.transfer);
        (1..self.pages)
            .find(|in_flight| with(*in_flight).waiting() <= reachable)
            .unwrap_or(self.pages.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pages: usize, in_flight: usize, latency: f64, computing: f64) -> JobModel {
        JobModel {
            pages,
            in_flight,
            latency,
            first_index_rows: Some(46),
            transfer: 0.0,
            computing,
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
    fn waiting_takes_whole_waves() {
        for (pages, in_flight, latency, expected) in [
            (496, 32, 0.05, 0.85),
            (496, 128, 0.05, 0.3),
            (496, 1, 0.05, 24.85),
            (496, 32, 0.0, 0.0),
            (1, 32, 0.5, 1.0),
        ] {
            assert_close(job(pages, in_flight, latency, 0.0).waiting(), expected);
        }
        let without_index = JobModel {
            first_index_rows: None,
            ..job(496, 32, 0.05, 0.0)
        };
        assert_close(without_index.waiting(), 0.8);
    }

    #[test]
    fn minimum_includes_the_cpu_time_of_the_last_wave() {
        // Page 1 of the index lists 46 pages. The other 54 take one wave or two. The CPU time for
        // the last wave follows that wave.
        assert_close(job(100, 80, 0.5, 0.1).minimum(), 1.5 + 0.054);
        assert_close(job(100, 40, 0.5, 0.1).minimum(), 2.0 + 0.02);
        assert_close(job(100, 50, 0.5, 0.1).minimum(), 2.0 + 0.004);
        assert_close(job(30, 80, 0.5, 0.1).minimum(), 1.0 + 0.1);
        assert_close(job(100, 80, 0.0, 0.1).minimum(), 0.1);
        assert_close(job(100, 80, 0.001, 7.0).minimum(), 7.0);
        let narrow_line = JobModel {
            transfer: 9.0,
            ..job(100, 80, 0.5, 0.1)
        };
        assert_close(narrow_line.minimum(), 9.0);
    }

    #[test]
    fn more_pages_in_flight_gain_nothing_beyond_a_number() {
        for (pages, latency, computing, expected) in [
            (496, 0.05, 0.16, 450),
            (496, 0.05, 0.0, 450),
            (496, 0.0, 0.15, 1),
            (496, 0.02, 0.21, 57),
            (1, 0.05, 0.0, 1),
            (0, 0.05, 0.0, 1),
        ] {
            let sufficient = job(pages, 32, latency, computing).sufficient_in_flight();
            assert_eq!(sufficient, expected, "{latency} s, {computing} s");
        }
        let narrow_line = JobModel {
            transfer: 0.16,
            ..job(496, 32, 0.05, 0.0)
        };
        assert_eq!(narrow_line.sufficient_in_flight(), 450);
    }
}
