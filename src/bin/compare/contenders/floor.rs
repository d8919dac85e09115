//! Not a contender but the limit: every page fetched and inflated, none read. The stages are the
//! product's, which inflate on as many threads as there are cores; inflating on the fetchers' own
//! threads was slower.

use std::thread;

use crossbeam_channel::bounded;
use indexrank::harvest::Harvest;
use indexrank::meter::Meter;
use indexrank::page::{Page, PageError};
use indexrank::walk::walk;

use super::{Answer, Task, cores, rate, text};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (&task.source(), &Meter::default());
    let (link_out, link_in) = bounded(2 * task.workers);
    let (page_out, page_in) = bounded::<Result<Page, PageError>>(task.workers);
    let (spare_out, spare_in) = bounded::<Vec<u8>>(2 * task.workers);
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(source, meter));
        let walker = scope.spawn(move || {
            walk(source, &task.index, task.workers, meter, |link| {
                link_out.send(link).is_ok()
            })
        });
        for _ in 0..task.workers {
            let (links, spares, pages) = (link_in.clone(), spare_in.clone(), page_out.clone());
            scope.spawn(move || {
                let get =
                    |path: &str| source.get(path, spares.try_recv().unwrap_or_default(), meter);
                links.iter().all(|link| pages.send(get(&link.path)).is_ok())
            });
        }
        drop((link_in, spare_in, page_out));
        let inflaters: Vec<_> = (0..cores())
            .map(|_| {
                let (pages, spares) = (page_in.clone(), spare_out.clone());
                scope.spawn(move || -> Result<Harvest, String> {
                    let (mut harvest, mut inflated) = (Harvest::default(), Vec::new());
                    for page in pages {
                        let page = page.map_err(text)?;
                        page.inflate(&mut inflated).map_err(text)?;
                        harvest.latencies.push(page.elapsed);
                        let _ = spares.try_send(page.body);
                    }
                    Ok(harvest)
                })
            })
            .collect();
        drop(page_in);
        let mut harvest = Harvest::default();
        for inflater in inflaters {
            harvest.absorb(inflater.join().expect("no panic")?);
        }
        walker
            .join()
            .expect("no panic")
            .map_err(|error| error.to_string())?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}
