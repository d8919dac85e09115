//! tokio + reqwest, as a good async programmer would write it: one client, a bounded number of
//! requests in flight, pages read where they arrive.
//!
//! Reading takes about 0.4 ms, of which most is inflating. Handing that to the blocking pool costs
//! more than it takes on the same cores, so it is done in the task.

use std::sync::Arc;
use std::time::Instant;

use indexrank::harvest::Harvest;
use indexrank::index::{self, IndexPage, Link};
use indexrank::meter::Meter;
use indexrank::page::{self, Page, PageError, Reason};
use indexrank::rates::{self, Rate};
use indexrank::source;
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Answer, TIMEOUT, Task, settled};

pub fn on_all_cores(task: &Task) -> Answer {
    run(task, Builder::new_multi_thread().enable_all().build())
}

pub fn on_one_thread(task: &Task) -> Answer {
    run(task, Builder::new_current_thread().enable_all().build())
}

fn run(task: &Task, runtime: std::io::Result<Runtime>) -> Answer {
    let client = Client::builder()
        .http1_only()
        .pool_max_idle_per_host(task.workers + 17)
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())?;
    runtime
        .map_err(|error| error.to_string())?
        .block_on(scrape(client, task.clone()))
}

async fn scrape(client: Client, task: Task) -> Answer {
    let site: Arc<str> = task.site.into();
    let rate = tokio::spawn(rate(client.clone(), site.clone()));
    let permits = Arc::new(Semaphore::new(task.workers));
    let mut companies = JoinSet::new();
    let mut listed = std::collections::HashSet::new();
    let mut start = |page: IndexPage| {
        for link in page
            .rows
            .into_iter()
            .filter(|link| listed.insert(link.path.clone()))
        {
            companies.spawn(company(client.clone(), site.clone(), permits.clone(), link));
        }
    };
    let first = index_page(client.clone(), site.clone(), task.index.clone(), 1).await?;
    let pages = first.pages;
    start(first);
    let mut others = JoinSet::new();
    for number in 2..=pages {
        others.spawn(index_page(
            client.clone(),
            site.clone(),
            task.index.clone(),
            number,
        ));
    }
    while let Some(page) = others.join_next().await {
        start(page.map_err(|error| error.to_string())??);
    }
    let mut harvest = Harvest::default();
    while let Some(ended) = companies.join_next().await {
        harvest.absorb(ended.map_err(|error| error.to_string())?);
    }
    let rate = rate.await.map_err(|error| error.to_string())??;
    Ok((settled(harvest, listed.len()), rate))
}

async fn get(client: &Client, site: &str, path: &str) -> Result<Page, PageError> {
    let broken = |error: reqwest::Error| PageError::new(Reason::Broken, error.to_string());
    let started = Instant::now();
    let request = client
        .get(format!("{site}{path}"))
        .header("accept-encoding", "gzip");
    let answer = request.send().await.map_err(broken)?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.bytes().await.map_err(broken)?.into();
    Page {
        status,
        headers,
        body,
        elapsed: started.elapsed(),
    }
    .of_status_200()
}

async fn index_page(
    client: Client,
    site: Arc<str>,
    index: String,
    number: u32,
) -> Result<IndexPage, String> {
    let page = get(&client, &site, &source::index_path(&index, number))
        .await
        .map_err(|error| error.to_string())?;
    let mut buffer = Vec::new();
    let html = page
        .inflate(&mut buffer)
        .map_err(|error| error.to_string())?;
    index::parse(html).map_err(|error| error.to_string())
}

async fn company(client: Client, site: Arc<str>, permits: Arc<Semaphore>, link: Link) -> Harvest {
    let _permit = permits.acquire().await.expect("nobody closes it");
    let mut harvest = Harvest::default();
    let result = get(&client, &site, &link.path).await.and_then(|page| {
        harvest.latencies.push(page.elapsed);
        indexrank::pipeline::read(&page, &mut Vec::new(), &Meter::default())
    });
    harvest.add(link, result);
    harvest
}

async fn rate(client: Client, site: Arc<str>) -> Result<Rate, String> {
    let page = get(&client, &site, &source::rates_path(None))
        .await
        .map_err(|error| error.to_string())?;
    let mut buffer = Vec::new();
    let xml = page
        .inflate(&mut buffer)
        .map_err(|error| error.to_string())?;
    let xml = page::to_utf8(xml, page.charset().as_deref());
    rates::parse(&String::from_utf8_lossy(&xml)).map_err(|error| error.to_string())
}
