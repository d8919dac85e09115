//! indexrank scrapes every company of a stock index with blocking threads and writes four top tens.
//!
//! One program, one job: walk the index → fetch the pages → read them → rank → write. The modules,
//! in the order in which a reader meets them:
//!
//! | Module | |
//! |---|---|
//! | [`cli`] | what the user may type |
//! | [`job`], `opening`, [`rate`], `results` | the whole job: options → source of pages, exchange rate → files |
//! | [`pipeline`], `fetchers` | the engine: three stages and the channels between them; who fetches, and how many |
//! | [`walk`], [`ways`], `addresses` | every page of the index, by numbers and by letters → links to companies, each address once |
//! | [`index`], [`company`], [`rates`], [`figure`] | pure readers of one page, one figure |
//! | `cut`, `challenge` | whether a piece of a page can be read alone; pages that want a human |
//! | `tree` | HTML → elements, under limits |
//! | [`harvest`], [`packed`], [`layout`] | what a run brings home, in little memory, and whether it can be trusted |
//! | [`rank`] | companies → the four rankings |
//! | [`suspicion`] | figures of a company that contradict each other |
//! | [`report`], [`table`], [`summary`], [`output`] | results → files and terminal; files whole or not at all |
//! | [`source`] | where pages come from: a site over HTTP, or an archive |
//! | [`gate`], [`robots`] | when a request may be sent, and whether |
//! | [`retry`], [`patience`], [`waiting`] | what is tried again, by who waits for it or from a waiting room |
//! | [`http`], `body`, [`tls`], [`page`], [`inflate`] | one GET, its body; whom to trust; a page as it came, and inflated |
//! | [`archive`], [`recorder`] | WARC in and out |
//! | [`journal`], [`claim`], [`signals`] | a run that is cut short goes on; one run at a time; Ctrl-C |
//! | [`meter`], [`trace`], [`progress`], [`resources`] | what is counted, timed, shown and used while a run goes |
//! | [`replica`] | a whole market on 127.0.0.1 |
//! | [`read`] | what the program sees in a saved page |
//! | [`exit`] | how a run can end |
//!
//! The race between ways of doing this job is a program of its own, `src/bin/compare`.
//!
//! Where to put the next change: another figure goes into [`company::CompanyPage`] and its reader,
//! [`layout_check::FIGURES`] (so that its loss is noticed), [`ranking::Figure`] with its file name in
//! [`report`], and a column of [`table`]. Another source of pages is a variant of
//! [`source::Origin`], opened in `opening`, and one of `source::Pages`. Another layout of the site is a
//! landmark at the top of [`company`] or [`index`].

pub mod cli;
pub mod disk;
pub mod exit;
pub mod http;
pub mod inspect;
pub mod job;
pub mod pipeline;
pub mod replica;
pub mod results;
pub mod signals;
pub mod site;
pub mod source;
pub mod telemetry;
pub mod warc;
