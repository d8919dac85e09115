//! Opens any file as an archive, or rejects it. Each listed path gives a page or an error.
#![no_main]

use std::io::Write;

use indexrank::warc::reader::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a folder for temporary files");
    file.write_all(bytes).expect("disk space");
    if let Ok(archive) = Archive::open(file.path()) {
        for path in archive.paths() {
            let _ = archive.get(path, Vec::new());
        }
    }
});
