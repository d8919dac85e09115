//! Opens arbitrary bytes as a WARC archive and reads every listed page. Neither may panic, hang or
//! exhaust memory.
#![no_main]

use std::io::Write;

use indexrank::warc::reader::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("create a temporary file");
    file.write_all(bytes).expect("write the input");
    if let Ok(archive) = Archive::open(file.path()) {
        for path in archive.paths() {
            let _ = archive.get(path, Vec::new());
        }
    }
});
