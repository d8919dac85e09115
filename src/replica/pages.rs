//! Everything a server answers, made and compressed before the first request.

use std::collections::HashMap;
use std::io::Write;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::market::Market;
use crate::http::decode::Inflater;
use crate::http::page;
use crate::pipeline::letters::LETTERS;
use crate::source;
use crate::source::robots;
use crate::warc::reader::Archive;

const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "application/xml; charset=windows-1251";
const ROBOTS: &[u8] = b"User-agent: *\nDisallow: /ajax/\nAllow: /\n";
/// What the Bank of Russia answers to a day it has no rates for, with status 200.
const RATES_ERROR: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\" ?><ValCurs>Error in parameters</ValCurs>";

/// Path and query → answer.
#[derive(Debug)]
pub struct Pages {
    answers: HashMap<String, Answer>,
    /// For days that there are no rates of.
    no_such_day: Option<Answer>,
}

/// An answer of status 200, ready to be sent to a client that takes gzip.
#[derive(Debug)]
pub struct Answer {
    pub content_type: String,
    /// The head of the gzipped answer without the empty line at its end.
    pub head: String,
    /// Head and gzipped body in one piece, so that it is one write.
    pub gzipped: Vec<u8>,
    body_at: usize,
}

impl Answer {
    pub fn new(content_type: &str, body: &[u8]) -> Self {
        // Level 2 makes pages of the size that the real site sends, in half the time of level 6.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(2));
        let body = encoder
            .write_all(body)
            .and_then(|()| encoder.finish())
            .expect("writing to memory");
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: indexrank\r\nContent-Type: {content_type}\r\nVary: Accept-Encoding\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n",
            body.len()
        );
        let gzipped = [head.as_bytes(), b"\r\n", &body].concat();
        let body_at = head.len() + 2;
        Answer {
            content_type: content_type.to_owned(),
            head,
            gzipped,
            body_at,
        }
    }

    pub fn gzipped_body(&self) -> &[u8] {
        &self.gzipped[self.body_at..]
    }

    /// The body for a client that does not take gzip.
    pub fn plain_body(&self) -> Vec<u8> {
        let mut inflater = Inflater::default();
        let body = inflater.gunzip(self.gzipped_body());
        body.expect("compressed by ourselves").to_vec()
    }
}

impl Pages {
    /// Every page of a market, its index and its rates.
    pub fn of_market(market: &Market) -> Self {
        let index = (1..=market.index_pages())
            .map(|number| (source::index_path(Market::INDEX, number), number));
        let mut answers: HashMap<String, Answer> = index
            .map(|(path, number)| {
                (
                    path,
                    Answer::new(HTML, market.index_page(number).as_bytes()),
                )
            })
            .collect();
        answers.insert(
            format!("/index/components/{}", Market::INDEX),
            Answer::new(HTML, market.index_page(1).as_bytes()),
        );
        answers.extend(side_by_side(&LETTERS, |letter| {
            let page = market.letter_page(letter);
            let path = source::letter_path(Market::INDEX, letter);
            Some((path, Answer::new(HTML, page.as_bytes())))
        }));
        let rates = market.rates();
        for date in [None, Some(Market::DATE)] {
            answers.insert(source::rates_path(date), Answer::new(XML, &rates));
        }
        answers.insert(robots::PATH.to_owned(), Answer::new("text/plain", ROBOTS));
        answers.extend(side_by_side(market.companies(), |company| {
            Some((
                company.path.clone(),
                Answer::new(HTML, market.company_page(company).as_bytes()),
            ))
        }));
        Pages {
            answers,
            no_such_day: Some(Answer::new("application/xml; charset=utf-8", RATES_ERROR)),
        }
    }

    /// Every page of an archive that it holds with status 200.
    pub fn of_archive(archive: &Archive) -> Self {
        let paths: Vec<&str> = archive.paths().collect();
        let answers = side_by_side(&paths, |path| {
            let page = archive
                .get(path, Vec::new())
                .and_then(page::Page::of_status_200)
                .ok()?;
            let mut inflater = Inflater::default();
            let body = page.inflate(&mut inflater).ok()?;
            let content_type = page.header("content-type").unwrap_or("text/html".into());
            Some(((*path).to_owned(), Answer::new(&content_type, body)))
        });
        Pages {
            answers: answers.into_iter().collect(),
            no_such_day: None,
        }
    }

    pub fn get(&self, path: &str) -> Option<&Answer> {
        let is_of_a_day = path
            .strip_prefix(&source::rates_path(None))
            .is_some_and(|day| day.starts_with('?'));
        self.answers
            .get(path)
            .or_else(|| self.no_such_day.as_ref().filter(|_| is_of_a_day))
    }
}

/// Compressing takes a millisecond a page; all cores share it.
fn side_by_side<T: Sync, U: Send>(items: &[T], make: impl Fn(&T) -> Option<U> + Sync) -> Vec<U> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let share = items.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let make = &make;
        let workers: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().filter_map(make).collect::<Vec<U>>()))
            .collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Vec<U>>| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    })
}
