//! Help texts that are longer than the description of an option.
//!
//! clap wraps lines at the width of the terminal. Lines of tables have at most 78 columns, so they stay
//! whole on 80. A paragraph is one line.

/// The end of `indexrank --help`. The exit codes are those of [`Exit`](crate::exit::Exit).
pub const EXAMPLES_AND_EXIT_CODES: &str = "\
Examples:
  Rank the embedded market, without a network:
    indexrank --from replica
  Rank the S&P 500 as it is today; check first that the site can be read:
    indexrank check
    indexrank
  Rank the top 5 of another index, with at most 2 requests per second:
    indexrank --index nasdaq_100 --top 5 --rps 2
  Record a run, then repeat it from the recording:
    indexrank --record run.warc.gz
    indexrank --from run.warc.gz --table all.csv
  Keep every run in a database, and see what has changed since the last one:
    indexrank --db market.sqlite
    indexrank diff --db market.sqlite
  Fetch one part of the companies on each of two machines, then rank all:
    indexrank --shard 1/2 --record 1.warc.gz
    indexrank --shard 2/2 --record 2.warc.gz
    indexrank --from 1.warc.gz --from 2.warc.gz
  Serve the embedded market to other clients, 50 ms per response:
    indexrank serve --port 8000 --latency 50

Exit codes:
    0  complete
    1  internal error
    2  wrong usage, unusable input file, or too few threads or open files
    3  rankings or rows written, but some companies or pages are missing
    4  site unreachable or refusing requests, --max-time exceeded, or a shard
       missing or torn
    5  layout of the pages not recognised
    6  rankings written except price.json: no usable exchange rate
    7  output cannot be written
    8  no file written: too few companies (--min-companies)
   10  something has changed (indexrank diff --exit-code)
  130  interrupted (SIGINT, Ctrl-C)
  143  terminated (SIGTERM)";

/// The end of `indexrank fetch --help`.
pub const FETCH: &str = "\
Examples:
  Status, length and title of the pages in a file, as a table:
    indexrank fetch --urls pages.txt
  The answers of a REST service as rows of a database:
    indexrank fetch 'https://site/users/[1-500]' --db users.sqlite --into users --key id
  Files, 32 at a time; after an interruption, the same with --resume:
    indexrank fetch --urls files.txt --save files --workers-per-host 32
  A third of a long list, on one of three machines:
    indexrank fetch --urls pages.txt --shard 1/3 --table 1.ndjson --out shard-1
  How often a word occurs in log files:
    indexrank fetch --count error /var/log/*.log";

/// The end of `indexrank diff --help`.
pub const DIFF: &str = "\
Examples:
  What has changed since the run before:
    indexrank diff --db market.sqlite
  Since the last run up to a day, or since run 7:
    indexrank diff --db market.sqlite --since 2022-02-04
    indexrank diff --db market.sqlite --since 7
  The companies that entered a ranking, by their codes:
    indexrank diff --db market.sqlite --json |
      jq -r '.rankings[].places[] | select(.change == \"entered\").code'";

/// The end of `indexrank history --help`.
pub const HISTORY: &str = "\
Examples:
  The figures of 3M, one line for each run:
    indexrank history MMM --db market.sqlite
  The same for a spreadsheet:
    indexrank history MMM --db market.sqlite --csv > mmm.csv";

/// The end of `indexrank serve --help`: the syntax of `--faults` and all kinds of faults.
pub const FAULTS: &str = "\
Faults:
  --faults takes rules, separated by commas. A rule is a kind of fault, with limits on the requests \
that get it. A request gets the fault of the first rule whose limits it meets. A rule without limits \
applies to every request.

Examples of faults:
  20 % of the requests get status 503:
    --faults 503@20%
  The connection breaks in 5 % of the company pages; one company is gone:
    --faults '404@/stocks/a-stock,reset-body@5%@/stocks/*'
  The first request for a page gets a 503 that asks for a pause of 2 s:
    --faults retry-after:2@/stocks/mmm-stock#1
  The 17th request stalls for 60 s; each path fails at requests 2 and 3:
    --faults stall:60@=17,500#2-3

Limits, which a rule may combine:
  @20%                this share, 0% to 100%, drawn anew for each request
  @/stocks/mmm-stock  requests for this path and query, percent-decoded
  @/stocks/*          requests for all paths that begin with /stocks/
  #1                  the first request for each path
  #2-3                the second and third request for each path
  @=17                the 17th request that the server receives

  The draw depends only on --seed, the path and the number of requests for that path so far. Rules \
share one draw per request, so their shares add up: 503@10%,reset@10% affects 20 % of the requests. \
The shares of all rules without a path must not exceed 100 % together.

Kinds that send a status without a page:
  400 to 999          this status, e.g. 404, 429, 503 or 999
  retry-after:VALUE   503 and Retry-After: VALUE (seconds, or any text)
  retry-after-date:SECONDS
                      503 and the date SECONDS from now, e.g. 2 or -60
  retry-after-rfc850:SECONDS
                      the same in the obsolete date format of RFC 850
  retry-after-asctime:SECONDS
                      the same in the obsolete date format of asctime()
  redirect:ADDRESS    302 to ADDRESS
  redirect-loop       302 to the requested address itself
  redirect-nowhere    302 without Location
  to-page-one         302 to page 1 of the index, or from a letter to /A
  other-index         302 to the same page of another index

Kinds that break or slow the connection:
  reset               TCP reset before the first byte
  reset-head          TCP reset inside the head
  reset-body          TCP reset in the middle of the body
  close               connection closed before the first byte
  short               half of the announced body, then close
  stall:SECONDS       silence for SECONDS, 0 to 3600, then close
  stall-body:SECONDS  half of the body, silence for SECONDS, then close
  drip                body at 10 bytes per second

Kinds that break HTTP:
  cut                 no announced length, closed in the middle of the body
  bad-chunk           chunk whose size is not a number
  no-last-chunk       chunks without the last one, which has size 0
  two-lengths         two different Content-Length headers
  negative-length     Content-Length below zero
  garbage             bytes that are not HTTP
  surplus             the response twice in one write
  surplus-late        the response again 20 ms later, before the next one

Kinds that send too much:
  endless-head        4 MiB of header lines without an end
  huge                body of 9 MiB without an announced length
  bomb                40 KB of gzip that inflate to 40 MiB

Kinds that break the encoding:
  truncated-gzip      gzip body without its second half
  bad-crc             gzip body with a wrong checksum
  plain-as-gzip       plain body declared as gzip
  encoding:NAME       plain body declared as Content-Encoding NAME
  charset:NAME        page declared as written in charset NAME

Kinds that send another page with status 200:
  empty               empty body
  fragment            first half of the page, complete as HTTP
  challenge           page with a bot check
  consent             page that asks to accept cookies
  other-page          next company, index page or letter, by address
  page-one            page 1 of the index, or /A for a letter
  growing             index without an end, with other companies on each page

Kinds that change the page, where they apply to it:
  layout              the label of one figure is another
  few-rows            index page with its first 5 rows
  td-header           header of the index table in td, not th
  colspan             header spans one more column, rows have a cell for it
  extra-column        header has one more cell than the rows
  row-space           white space around the addresses in index links
  long-row            first address on an index page has 300 bytes
  moved               first company of page 2 moves up: page 2 lacks it, and
                      page 1 lists it from its second request on
  unnamed             page that does not state its address, index or number
  absurd-rate         a dollar costs 0.0000001 roubles";
