//! Any file: it is opened or refused, and every page it lists is given or refused.
#![no_main]

use std::io::Write;

use indexrank::warc::reader::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a folder for temporary files");
    file.write_all(bytes).expect("room in it");
    if let Ok(archive) = Archive::open(file.path()) {
        for path in archive.paths() {
            let _ = archive.get(path, Vec::new());
        }
    }
});
