//! The subcommand `serve`: serves the embedded market or an archive on 127.0.0.1.

use std::thread;

use crate::cli::ServeArgs;
use crate::console::{print, say};
use crate::disk::same_file::UsedFiles;
use crate::disk::staging::StagedFile;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::open_archive;
use crate::replica::{Event, Market, Pages, SEED, Server, TlsConfig};
use crate::results::write::OutputsError;
use crate::source::origin::Origin;
use crate::telemetry::usage;
use crate::words;

/// Serves until a signal ends the process. Returns only an error: of the options, of the server if it
/// cannot start, or of the file of `--ca-out`.
pub fn serve(args: &ServeArgs) -> Result<Exit, Stop> {
    let ca_out = stage(args)?;
    let pages = pages(args)?;
    let (tls, authority) = tls(args)?.unzip();
    // Each connection has a file descriptor. If the limit cannot be raised, the present one holds.
    let _ = usage::raise_open_file_limit();
    let observer = |event: Event| say(&event.to_string());
    let server = Server::start_with_tls(pages, args.port as u16, args.line(), Some(observer), tls);
    let server = server.map_err(|error| {
        let message = format!(
            "cannot listen on 127.0.0.1:{}: {}; choose another --port, or 0 for a free one",
            args.port,
            words::of_system(&error)
        );
        Stop::new(Exit::Usage, message)
    })?;
    if let Some(plan) = args.plan() {
        server.misbehave(plan);
    }
    if let (Some(file), Some(pem)) = (ca_out, authority) {
        file.write(|out| out.write_all(pem.as_bytes()))?;
        file.publish()?;
    }
    print(format!("{}\n", server.address()).as_bytes())?;
    loop {
        thread::park();
    }
}

/// The file of `--ca-out`, staged.
fn stage(args: &ServeArgs) -> Result<Option<StagedFile>, Stop> {
    let Some(file) = &args.ca_out else {
        return Ok(None);
    };
    let mut used = UsedFiles::default();
    if let Origin::Archive(archive) = &args.from {
        used.add_kept(archive).map_err(OutputsError::from)?;
    }
    used.add_output(file).map_err(OutputsError::from)?;
    Ok(Some(StagedFile::create(file)?))
}

/// The configuration of `--tls`, and the certificate of its authority in PEM.
#[cfg(feature = "race")]
fn tls(args: &ServeArgs) -> Result<Option<(TlsConfig, String)>, Stop> {
    use crate::replica::tls::{Certificates, server_config};
    if !args.tls {
        return Ok(None);
    }
    let made = Certificates::generate()
        .and_then(|made| Ok((server_config(&made.server)?, made.authority)));
    made.map(Some).map_err(|error| {
        Stop::new(
            Exit::Internal,
            format!("cannot make certificates: {error:#}"),
        )
    })
}

#[cfg(not(feature = "race"))]
fn tls(args: &ServeArgs) -> Result<Option<(TlsConfig, String)>, Stop> {
    if !args.tls {
        return Ok(None);
    }
    let message = "this build cannot serve over TLS; \
                   build it with: cargo install --locked --path . --features race";
    Err(Stop::new(Exit::Usage, message))
}

/// The pages to serve. An archive has a fixed set, so options of the embedded market are an error.
fn pages(args: &ServeArgs) -> Result<Pages, Stop> {
    let Origin::Archive(path) = &args.from else {
        let market = Market::embedded(args.companies, args.seed.unwrap_or(SEED));
        return Ok(Pages::of_market(&market.dropping(args.drop_rows)));
    };
    if args.companies.is_some() || args.drop_rows > 0 {
        let message = "--companies and --drop-rows apply only to the embedded market; \
                       remove them to serve an archive";
        return Err(Stop::new(Exit::Usage, message));
    }
    let archive = open_archive(path)?;
    if let Some(damage) = archive.damage() {
        say(&format!("warning: {damage}"));
    }
    let pages = Pages::of_archive(&archive);
    if let [(path, error), others @ ..] = &*pages.unreadable {
        let number = others.len() + 1;
        say(&format!(
            "warning: pages that cannot be read are not served: {number}, the first {path}: {error}"
        ));
    }
    if pages.is_empty() {
        return Err(Stop::of_archive_without_pages(&archive));
    }
    Ok(pages)
}
