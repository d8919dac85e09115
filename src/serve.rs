//! The subcommand `serve`: serves the embedded market or an archive on 127.0.0.1.

use std::thread;

use crate::cli::ServeArgs;
use crate::console::{print, say};
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::open_archive;
use crate::replica::{Market, Pages, SEED, Server};
use crate::source::origin::Origin;
use crate::words;

/// Serves until a signal ends the process. Returns only an error: of the options, or of the server
/// if it cannot start.
pub fn serve(args: &ServeArgs) -> Result<Exit, Stop> {
    let pages = pages(args)?;
    let on_thousand = |number| say(&format!("{number} requests"));
    let server = Server::start(pages, args.port as u16, args.line(), Some(on_thousand));
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
    print(format!("{}\n", server.address()).as_bytes())?;
    loop {
        thread::park();
    }
}

/// The pages to serve. An archive has a fixed set, so options of the embedded market are an error.
fn pages(args: &ServeArgs) -> Result<Pages, Stop> {
    let Origin::Archive(path) = &args.from else {
        let market = Market::embedded(args.companies, args.seed.unwrap_or(SEED));
        return Ok(Pages::of_market(&market.dropping(args.drop_rows)));
    };
    if args.companies.is_some() || args.drop_rows > 0 {
        let message = "--companies and --drop-rows apply only to the embedded market; remove them to serve an archive";
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
