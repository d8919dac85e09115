//! The files of a run: tried before it, and written all or none after it.

use std::path::PathBuf;

use crate::disk::output::{self, Staged};
use crate::exit::{Exit, Stop};
use crate::job::Job;
use crate::pipeline::harvest::Company;
use crate::pipeline::packed::Packed;
use crate::results::ranking::{Figure, Place};
use crate::results::report::{self, Report};
use crate::results::table;
use crate::site::rates::Rate;
use crate::source::Origin;
use crate::telemetry::trace::Timeline;
use crate::telemetry::usage;
use crate::warc::journal::{self, Journal};

/// The run's report beside its rankings.
const REPORT: &str = "run.json";

/// Whether every file can be put in its place, and no two in the same.
pub fn try_all(job: &Job) -> Result<(), Stop> {
    if let (Origin::Archive(archive), Some(_)) = (&job.origin, &job.record) {
        let advice = "--record keeps pages that come from a server; to keep these again, copy";
        return Err(Stop::new(
            Exit::Usage,
            format!("{advice} {}", archive.display()),
        ));
    }
    let rankings = Figure::ALL.map(|figure| job.out.join(report::file_name(figure)));
    let table = job.table.iter().map(|(file, _)| file.clone());
    let mut places: Vec<PathBuf> = rankings
        .into_iter()
        .chain([job.out.join(REPORT)])
        .chain(table)
        .chain(job.record.clone())
        .chain([journal::place(&job.out, job.record.as_deref())])
        .chain(job.trace.clone())
        .collect();
    for file in &places {
        output::try_file(file)?;
    }
    places.push(job.out.clone());
    if let Origin::Archive(archive) = &job.origin {
        places.push(archive.clone());
    }
    match output::named_twice(places) {
        Some(place) => {
            let twice = format!(
                "{} is named twice, for two results or for one and the source; choose another name for one",
                place.display()
            );
            Err(Stop::new(Exit::Usage, twice))
        }
        None => Ok(()),
    }
}

/// Writes every file under a temporary name first and then puts all in their places, so that a
/// failure to write changes nothing.
pub fn write_all(
    job: &Job,
    report: &mut Report,
    rankings: &[(Figure, Vec<Place>)],
    companies: &Packed<Company>,
    rate: Option<&Rate>,
    timeline: Option<Timeline>,
    recording: Option<Journal>,
) -> Result<(), Stop> {
    let mut contents: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (figure, places) in rankings {
        contents.push((
            job.out.join(report::file_name(*figure)),
            report::json(places),
        ));
    }
    if let Some((file, format)) = &job.table {
        let table = table::write(companies.iter(), rate, *format);
        contents.push((
            file.clone(),
            table.map_err(|error| Stop::new(Exit::Internal, error.to_string()))?,
        ));
    }
    if let (Some(file), Some(timeline)) = (&job.trace, timeline) {
        contents.push((file.clone(), timeline.chrome()));
    }
    let report_file = job.out.join(REPORT);
    let files = contents.iter().map(|(file, _)| file);
    let files = files.chain([&report_file]).chain(&job.record);
    report.files = files.map(|file| file.display().to_string()).collect();
    report.peak_memory_bytes = usage::peak_memory();
    contents.push((report_file, report::json(report)));

    let staged = contents
        .iter()
        .map(|(file, content)| Staged::whole(file, content));
    let staged = staged.collect::<Result<Vec<Staged>, _>>()?;
    staged.iter().try_for_each(Staged::sync)?;
    if let (Some(recording), Some(target)) = (recording, &job.record) {
        recording.become_recording(target)?;
    }
    staged.into_iter().try_for_each(Staged::place)?;
    Ok(())
}
