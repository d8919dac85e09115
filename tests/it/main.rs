//! The integration tests but for those that need a cluster, built as one binary: it links once, and its tests
//! share a server.

mod architecture;
mod run;
mod support;

mod address_lists;
mod addresses;
mod archive_files;
mod archive_responses;
mod archive_runs;
mod archives;
mod bounds;
#[cfg(feature = "race")]
mod browser;
mod capture;
#[cfg(unix)]
mod check;
mod cli;
mod commit;
mod company;
mod cookies;
mod coverage;
mod currencies;
mod damage;
#[cfg(unix)]
mod database_readers;
#[cfg(unix)]
mod diff;
mod dry_run;
mod encodings;
mod failed_run;
mod faults;
mod fetch_endings;
mod fetch_hosts;
mod fetch_rows;
mod fetch_save;
mod fetch_shards;
mod file_names;
mod golden;
mod harvest;
mod heads;
mod help;
mod hidden_text;
#[cfg(unix)]
mod history;
mod hostile;
mod identity;
mod index;
mod index_faults;
mod inspect;
#[cfg(unix)]
mod interrupted;
#[cfg(unix)]
mod journal_damage;
mod json_objects;
mod large;
#[cfg(unix)]
mod limits;
mod log;
mod market;
#[cfg(target_os = "linux")]
mod memory;
mod mutations;
#[cfg(unix)]
mod network;
mod number;
mod other_page;
mod page;
mod page_text;
mod plausibility;
mod politeness;
mod properties;
mod proxy;
mod proxy_settings;
#[cfg(feature = "race")]
mod race;
#[cfg(feature = "race")]
mod race_answer;
#[cfg(feature = "race")]
mod race_contenders;
#[cfg(feature = "race")]
mod race_html;
#[cfg(feature = "race")]
mod race_line;
#[cfg(feature = "race")]
mod race_programs;
#[cfg(feature = "race")]
mod race_work;
mod ranking;
mod rates;
mod refusals;
mod remedies;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod resume_command;
mod resumed_recording;
mod robots;
#[cfg(feature = "race")]
mod serve_tls;
mod server;
mod server_faults;
mod shards;
mod spellings;
mod stages;
mod staging;
#[cfg(unix)]
mod store;
#[cfg(unix)]
mod store_faults;
#[cfg(unix)]
mod stored_runs;
mod table_stdout;
mod tables;
#[cfg(unix)]
mod terminal;
mod throttle;
mod tls;
mod torture;
mod trace;
#[cfg(unix)]
mod unusable_databases;
mod walks;
mod warc;
mod wrong_index;
