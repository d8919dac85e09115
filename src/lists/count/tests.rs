//! Tests with blocks of a few bytes, so that everything lies across borders.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use encoding_rs::UTF_8;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tempfile::TempDir;

use super::file;
use super::positioned::Positioned;
use super::reading::Reading;
use super::stream::{self, Gunzip};
use super::*;

fn words(words: &[&str], ignore_case: bool) -> Words {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Words::new(&words, ignore_case).unwrap()
}

/// A file in a folder of its own.
struct OneFile {
    path: PathBuf,
    _folder: TempDir,
}

impl OneFile {
    fn new(bytes: &[u8]) -> OneFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        OneFile {
            path,
            _folder: folder,
        }
    }
}

/// Counts with blocks of a given size.
fn count_with(
    words: &Words,
    path: &Path,
    blocks: usize,
    block_size: usize,
) -> io::Result<FileCount> {
    let reported = AtomicU64::new(0);
    let on_bytes = |bytes| {
        reported.fetch_add(bytes, Relaxed);
    };
    let reading = Reading::new(words, &on_bytes, &|| false).with_blocks(blocks, block_size);
    let count = file::count(path, &reading)?;
    assert_eq!(reported.into_inner(), count.bytes);
    Ok(count)
}

/// Counts in a file with blocks of many sizes, which must give the same.
fn count(words: &Words, bytes: &[u8]) -> io::Result<FileCount> {
    let file = OneFile::new(bytes);
    let large = words.count_file(&file.path, &|_| (), &|| false);
    for block_size in [1, 2, 3, 5, 8, 13, 64, 4096] {
        let small = count_with(words, &file.path, 3, block_size);
        match (&small, &large) {
            (Ok(small), Ok(large)) => assert_eq!(small, large, "blocks of {block_size}"),
            (small, large) => assert_eq!(small.is_ok(), large.is_ok(), "blocks of {block_size}"),
        }
    }
    large
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Utf8WithMark,
    Utf16Le,
    Utf16Be,
}

const FORMS: [Form; 4] = [Form::Utf8, Form::Utf8WithMark, Form::Utf16Le, Form::Utf16Be];

impl Form {
    fn encode(self, text: &str) -> Vec<u8> {
        let units = || "\u{feff}".encode_utf16().chain(text.encode_utf16());
        match self {
            Form::Utf8 => text.as_bytes().to_vec(),
            Form::Utf8WithMark => format!("\u{feff}{text}").into_bytes(),
            Form::Utf16Le => units().flat_map(u16::to_le_bytes).collect(),
            Form::Utf16Be => units().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// One gzip member per part.
fn gzip<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = Vec::new();
    for part in parts {
        let mut member = GzEncoder::new(&mut file, Compression::fast());
        member.write_all(part).unwrap();
        member.finish().unwrap();
    }
    file
}

/// The characters of the tests below under simple case folding, from CaseFolding.txt of Unicode.
fn fold(text: &str) -> String {
    let fold = |c| match c {
        'A' => 'a',
        'B' => 'b',
        'K' | '\u{212a}' => 'k',
        'S' | 'ſ' => 's',
        'ẞ' => 'ß',
        'Σ' | 'ς' => 'σ',
        'I' => 'i',
        '\u{10400}' => '\u{10428}',
        c => c,
    };
    text.chars().map(fold).collect()
}

#[test]
fn counts_as_python_does() {
    let exact = [
        ("", "a", 0),
        ("a", "a", 1),
        ("a", "ab", 0),
        ("aaaaa", "aa", 2),
        ("abababab", "abab", 2),
        ("abababababa", "aba", 3),
        ("errors and terror", "error", 2),
        ("one\ntwo\nthree", "e\nt", 1),
        ("Error error", "error", 1),
        ("a\0b\0", "\0", 2),
        ("naïve café", "é", 1),
        ("ﬁ", "fi", 0),
        ("🦀🦀🦀", "🦀🦀", 1),
        ("e\u{301}", "é", 0),
    ];
    let any_case = [
        ("Error ERROR eRRor", "error", 3),
        ("aAaAa", "AA", 2),
        // The Kelvin sign has 3 bytes, k has 1.
        ("k K \u{212a}", "K", 3),
        ("k\u{212a}kK\u{212a}", "\u{212a}k", 2),
        ("Σίσυφος ΣΊΣΥΦΟΣ", "σίσυφοσ", 2),
        ("ß ẞ ss SS", "ß", 2),
        ("ß ẞ ss SS", "ss", 2),
        ("ſ s S", "s", 3),
        ("İ i I ı", "i", 2),
        ("İ i I ı", "İ", 1),
        ("Страница СТРАНИЦА", "страница", 2),
        ("(a)* (A)*", "(A)*", 2),
        ("𐐀𐐨", "𐐨", 2),
    ];
    for (cases, ignore_case) in [(&exact[..], false), (&any_case[..], true)] {
        for (text, word, expected) in cases {
            let words = words(&[word], ignore_case);
            let name = format!("{word:?} in {text:?}");
            assert_eq!(words.count_in(text), [*expected], "{name}");
            for form in FORMS {
                let bytes = form.encode(text);
                let plain = count(&words, &bytes).unwrap();
                assert_eq!(plain.counts, [*expected], "{name} as {form:?}");
                assert_eq!(
                    plain.chars,
                    text.chars().count() as u64,
                    "{name} as {form:?}"
                );
                assert_eq!(plain.bytes, bytes.len() as u64, "{name} as {form:?}");
                let compressed = gzip(bytes.chunks(5));
                let inflated = count(&words, &compressed).unwrap();
                let expected = FileCount {
                    // Nothing to compress makes no member.
                    bytes: compressed.len() as u64,
                    ..plain
                };
                assert_eq!(inflated, expected, "{name} as compressed {form:?}");
            }
        }
    }
}

#[test]
fn counts_each_word_by_itself() {
    let words = words(&["ab", "b", "bc", "abc", "ab"], false);
    assert_eq!(words.words(), ["ab", "b", "bc", "abc", "ab"]);
    assert_eq!(words.count_in("abcab"), [2, 2, 1, 1, 2]);
    assert_eq!(count(&words, b"abcab").unwrap().counts, [2, 2, 1, 1, 2]);
    let none = Words::new(&[], false).unwrap();
    assert_eq!(count(&none, b"abc").unwrap().chars, 3);
}

#[test]
fn rejects_empty_and_long_words() {
    let new = |word: &str, ignore_case| Words::new(&[word.to_owned()], ignore_case).map(|_| ());
    for ignore_case in [false, true] {
        assert_eq!(new("", ignore_case), Err(WordError::Empty));
        assert_eq!(new(&"a".repeat(MAX_WORD), ignore_case), Ok(()));
        // The characters with the largest regexes.
        assert_eq!(new(&"k".repeat(MAX_WORD), ignore_case), Ok(()));
        assert_eq!(new(&"Ω".repeat(MAX_WORD / 2), ignore_case), Ok(()));
        assert_eq!(new(&"ᲀ".repeat(MAX_WORD / 3), ignore_case), Ok(()));
        assert_eq!(new(&"𐐀".repeat(MAX_WORD / 4), ignore_case), Ok(()));
        let long = "a".repeat(MAX_WORD + 1);
        assert_eq!(
            new(&long, ignore_case),
            Err(WordError::TooLong(MAX_WORD + 1))
        );
    }
}

/// Of the longest words, matches are up to three times as long as the word.
#[test]
fn finds_the_longest_matches_across_borders() {
    let word = "k".repeat(MAX_WORD);
    let text = format!("{0}{0}-{0}", "\u{212a}".repeat(MAX_WORD));
    let words = words(&[&word], true);
    for form in FORMS {
        assert_eq!(count(&words, &form.encode(&text)).unwrap().counts, [3]);
    }
}

#[test]
fn invalid_text_matches_nothing_and_the_text_around_it_counts() {
    let words = words(&["ab", "é", "\u{fffd}"], false);
    let invalid = count(&words, b"ab\xFFab\xC3ab\xE2\x82ab a\xFFb \xC3\xA9 \xA9").unwrap();
    assert_eq!(invalid.counts, [4, 1, 0]);
    // Each FF, C3 and E2 begins a character.
    assert_eq!(invalid.chars, 8 + 3 + 1 + 2 + 1 + 1 + 2);
    // A lone high and a lone low surrogate, the low one also at the beginning and as the end of no pair,
    // and half a unit at the end.
    for first in [0xD800, 0xDC00, 0xD801] {
        let units = [
            0xFEFF, first, 0x61, 0x62, 0xDC00, 0xDC00, 0x61, 0xD800, 0x62,
        ];
        let mut bytes: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
        bytes.push(0x61);
        let lone = count(&words, &bytes).unwrap();
        assert_eq!(lone.counts, [1, 0, 5]);
        assert_eq!(lone.chars, 9);
    }
}

#[test]
fn counts_in_files_with_nothing_but_a_mark() {
    let words = words(&["a", "\u{feff}"], false);
    for form in FORMS {
        let bytes = form.encode("");
        let expected = FileCount {
            counts: vec![0, 0],
            bytes: bytes.len() as u64,
            chars: 0,
        };
        assert_eq!(count(&words, &bytes).unwrap(), expected);
        // A second mark is text.
        let second = count(&words, &form.encode("\u{feff}"));
        let has_mark = u64::from(form != Form::Utf8);
        assert_eq!(second.unwrap().counts, [0, has_mark]);
    }
    // Parts of a mark are text.
    assert_eq!(count(&words, b"\xEF\xBB").unwrap().chars, 1);
    assert_eq!(count(&words, b"\xFF").unwrap().chars, 1);
    assert_eq!(count(&words, b"\x1F").unwrap().chars, 1);
}

#[test]
fn says_where_gzip_data_is_damaged_or_ends() {
    let words = words(&["ab"], false);
    let first = gzip([&b"abab".repeat(500)[..]]);
    let mut whole = first.clone();
    whole.extend(gzip([&b"ab"[..]]));
    assert_eq!(count(&words, &whole).unwrap().counts, [1001]);
    for length in 2..whole.len() {
        let result = count(&words, &whole[..length]);
        if length == first.len() {
            assert_eq!(result.unwrap().counts, [1000]);
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length} bytes");
        let text = error.to_string();
        assert!(
            text.starts_with("the gzip data ends early after "),
            "{text}"
        );
    }
    let after_first = count(&words, &whole[..first.len() + 5]).unwrap_err();
    let text = after_first.to_string();
    assert_eq!(text, "the gzip data ends early after 2000 inflated bytes");

    // The checksum of the first member.
    let mut damaged = whole.clone();
    damaged[first.len() - 8] ^= 1;
    let text = count(&words, &damaged).unwrap_err().to_string();
    assert!(text.starts_with("the gzip data is damaged ("), "{text}");
    assert!(text.ends_with(") after 2000 inflated bytes"), "{text}");
    let mut followed = whole.clone();
    followed.extend(b"something else");
    let text = count(&words, &followed).unwrap_err().to_string();
    assert!(text.ends_with(" after 2002 inflated bytes"), "{text}");
}

#[test]
fn fails_on_what_is_no_readable_file() {
    let words = words(&["a"], false);
    let folder = tempfile::tempdir().unwrap();
    let count = |path: &Path| words.count_file(path, &|_| (), &|| false);
    let missing = count(&folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let is_folder = count(folder.path()).unwrap_err();
    assert!(is_folder.raw_os_error().is_some(), "{is_folder:?}");
}

/// A signal interrupts every other read, and a disk error follows.
struct Unreliable<'a> {
    bytes: &'a [u8],
    reads: usize,
}

impl Read for Unreliable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.bytes.read(&mut buffer[..1])? {
            0 => Err(io::Error::from_raw_os_error(5)),
            count => Ok(count),
        }
    }
}

#[test]
fn repeats_interrupted_reads_and_returns_errors_of_the_system() {
    let words = words(&["ab"], false);
    let cut = &gzip([&b"ab".repeat(50)[..]])[..15];
    for is_compressed in [false, true] {
        let bytes = if is_compressed { cut } else { b"abab" };
        let reading = Reading::new(&words, &|_| (), &|| false).with_blocks(2, 8);
        let reader = Unreliable { bytes, reads: 0 };
        let result = if is_compressed {
            stream::count(&reading, Gunzip::new(reader))
        } else {
            stream::count(&reading, reader)
        };
        assert_eq!(result.unwrap_err().raw_os_error(), Some(5));
    }
}

/// The runs of a file need memory until its end.
#[test]
fn the_largest_files_have_1024_runs() {
    let file = OneFile::new(b"");
    let file = File::open(&file.path).unwrap();
    let words = words(&["a"], false);
    let reading = Reading::new(&words, &|_| (), &|| false);
    let run_size = |length| Positioned::new(&reading, &file, UTF_8, 0..length).run_size();
    assert_eq!(run_size(1), 4 << 20);
    assert_eq!(run_size(4 << 30), 4 << 20);
    assert_eq!(run_size(1 << 40), 1 << 30);
    assert_eq!(run_size((1 << 40) + 1), (1 << 30) + (128 << 10));
}

#[test]
fn ends_when_cancelled() {
    let text = "ab".repeat(100);
    let words = words(&["ab"], false);
    for bytes in [text.as_bytes().to_vec(), gzip([text.as_bytes()])] {
        let file = OneFile::new(&bytes);
        let count_until = |last: usize| {
            let asked = AtomicUsize::new(0);
            let is_cancelled = || asked.fetch_add(1, Relaxed) >= last;
            let reading = Reading::new(&words, &|_| (), &is_cancelled).with_blocks(2, 8);
            let result = file::count(&file.path, &reading);
            (result, asked.into_inner())
        };
        let (result, asked) = count_until(usize::MAX);
        assert_eq!(result.unwrap().counts, [100]);
        assert!(asked >= 200 / 8, "asked {asked} times");
        for last in 0..asked {
            let error = count_until(last).0.unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::Interrupted,
                "cancelled at {last}"
            );
        }
    }
}

/// A writer appends whenever the reader has read something.
#[test]
fn counts_a_growing_file_up_to_its_length_at_the_start() {
    let words = words(&["ab"], false);
    for bytes in [b"ab".repeat(50), gzip([&b"ab".repeat(50)[..]])] {
        let file = OneFile::new(&bytes);
        let on_bytes = |_| {
            let mut writer = File::options().append(true).open(&file.path).unwrap();
            writer.write_all(&[b'b'; 300]).unwrap();
        };
        let reading = Reading::new(&words, &on_bytes, &|| false).with_blocks(2, 8);
        let count = file::count(&file.path, &reading).unwrap();
        assert_eq!(count.counts, [50]);
        assert_eq!(count.bytes, bytes.len() as u64);
    }
}

/// Counts with one thread. `changes` are the contents that the file gets before a read. Read 0 looks for a
/// byte order mark, read 1 is that of the first block.
fn count_while_changing(
    words: &Words,
    bytes: &[u8],
    blocks: usize,
    changes: &[(usize, &[u8])],
) -> FileCount {
    let file = OneFile::new(bytes);
    let reads = AtomicUsize::new(0);
    let before_read = || {
        let read = reads.fetch_add(1, Relaxed);
        for (_, bytes) in changes.iter().filter(|(at, _)| *at == read) {
            fs::write(&file.path, bytes).unwrap();
        }
        false
    };
    let reading = Reading::new(words, &|_| (), &before_read).with_blocks(blocks, 7);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap()
        .install(|| file::count(&file.path, &reading))
        .unwrap()
}

#[test]
fn counts_a_shrinking_file_up_to_its_end() {
    for blocks in [1, 3] {
        // The second block ends after 3 bytes (read 2), read 3 finds no more.
        let changes = [(2, &[b'a'; 10][..]), (4, &[b'a'; 100])];
        let count = count_while_changing(&words(&["a"], false), &[b'a'; 100], blocks, &changes);
        let expected = FileCount {
            counts: vec![10],
            bytes: 10,
            chars: 10,
        };
        assert_eq!(count, expected, "runs of {blocks} blocks");
    }
    let emptied = count_while_changing(&words(&["a"], false), b"aaa", 1, &[(1, b"")]);
    assert_eq!((emptied.counts, emptied.bytes), (vec![0], 0));
    // Shorter than the byte order mark.
    let no_mark = count_while_changing(&words(&["a"], false), b"\xEF\xBB\xBFaaa", 1, &[(1, b"a")]);
    assert_eq!(no_mark.counts, [0]);
}

/// No count is right for such a file, but each ends.
#[test]
fn survives_a_file_that_is_rewritten() {
    // The Kelvin sign covers 2 bytes of the second block, which then has only 1.
    let text = "aaaaaa\u{212a}a".as_bytes();
    for blocks in [1, 3] {
        let kelvin = words(&["k"], true);
        let count = count_while_changing(&kelvin, text, blocks, &[(2, b"aaaaaaak")]);
        assert_eq!(count.bytes, 8);
    }
    // Read 4 is that of the correction of the second run, which finds more than there was.
    let changes = [(4, &[b'a'; 15][..])];
    let count = count_while_changing(&words(&["aa"], false), b"aaaaaaaabbbbbbb", 1, &changes);
    assert_eq!((count.counts, count.bytes), (vec![4], 15));
}

#[cfg(target_os = "linux")]
#[test]
fn counts_in_files_of_proc_whose_length_is_0() {
    let words = words(&["VmHWM:", "vmhwm:"], false);
    let count = count_with(&words, "/proc/self/status".as_ref(), 2, 16).unwrap();
    assert_eq!(count.counts, [1, 0]);
    assert!(count.bytes > 500, "{count:?}");
}

#[cfg(unix)]
#[test]
fn counts_in_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let words = words(&["abab"], false);
    let text = "abababababab🦀".repeat(100);
    let plain = FORMS.map(|form| form.encode(&text));
    let compressed = FORMS.map(|form| gzip(form.encode(&text).chunks(70)));
    for (at, bytes) in plain.into_iter().chain(compressed).enumerate() {
        let path = folder.path().join(at.to_string());
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut pipe = File::options().write(true).open(&path).unwrap();
                // The first bytes do not arrive at once.
                for part in [&bytes[..1], &bytes[1..2], &bytes[2..]] {
                    pipe.write_all(part).unwrap();
                    pipe.flush().unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            });
            let count = count_with(&words, &path, 3, 10).unwrap();
            assert_eq!(count.counts, [300]);
            assert_eq!(count.bytes, bytes.len() as u64);
            assert_eq!(count.chars, 1300);
        });
    }
}

/// Cuts bytes into parts for the members of a gzip file.
fn parts<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

/// Counts as `bytes.count(word)` of Python does.
fn naive_count(text: &[u8], word: &[u8]) -> u64 {
    let (mut count, mut at) = (0, 0);
    while at < text.len() {
        let is_here = text[at..].starts_with(word);
        count += u64::from(is_here);
        at += if is_here { word.len() } else { 1 };
    }
    count
}

const EXACT: &str = "[ab]{0,40}[abé🦀\u{10428}\n]{0,20}[ab]{0,20}";
const ANY_CASE: &str = "[aAkK\u{212a}sSſßẞσςΣiIİı𐐀𐐨]{0,50}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_as_a_naive_search_does(
        (text, chosen, ignore_case) in prop_oneof![
            (EXACT, vec("[ab]{1,6}|[abé🦀\n]{1,3}", 1..4), Just(false)),
            (ANY_CASE, vec("[aAkK\u{212a}]{1,3}|[sSſßẞσςΣiIİı𐐀𐐨]{1,2}", 1..4), Just(true)),
        ],
        form in select(&FORMS[..]),
        is_compressed: bool,
        cuts in vec(any::<Index>(), 0..4),
        blocks in 1..4_usize,
        block_size in 1..=16_usize,
    ) {
        let words = Words::new(&chosen, ignore_case).unwrap();
        let expected: Vec<u64> = chosen.iter().map(|word| {
            let (text, word) = match ignore_case {
                true => (fold(&text), fold(word)),
                false => (text.clone(), word.clone()),
            };
            text.matches(&word).count() as u64
        }).collect();
        prop_assert_eq!(&words.count_in(&text), &expected);
        let mut bytes = form.encode(&text);
        if is_compressed {
            bytes = gzip(parts(&bytes, &cuts));
        }
        let file = OneFile::new(&bytes);
        let count = count_with(&words, &file.path, blocks, block_size).unwrap();
        prop_assert_eq!(&count.counts, &expected);
        prop_assert_eq!(count.bytes, bytes.len() as u64);
        prop_assert_eq!(count.chars, text.chars().count() as u64);
    }

    #[test]
    fn counts_in_any_bytes(
        bytes in vec(select(&b"aab\xC3\xA9\xFF\xE2\xF0\n"[..]), 0..100),
        word in "[ab]{1,4}|[aé]{1,2}",
        is_compressed: bool,
        blocks in 1..4_usize,
        block_size in 1..=16_usize,
    ) {
        let expected = naive_count(&bytes, word.as_bytes());
        let file = if is_compressed {
            OneFile::new(&gzip([&bytes[..]]))
        } else {
            OneFile::new(&bytes)
        };
        for ignore_case in [false, true] {
            let words = words(&[&word], ignore_case);
            let count = count_with(&words, &file.path, blocks, block_size).unwrap();
            prop_assert_eq!(&count.counts, &[expected]);
            // Text that is not UTF-8 is treated as text in which its invalid parts are U+FFFD.
            let lossy = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(&words.count_in(&lossy), &[expected]);
        }
    }
}
