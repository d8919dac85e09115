-- One row for each run of indexrank with --db, in the order in which the runs ended.
CREATE TABLE runs (
    -- Number of the run, from 1. Without AUTOINCREMENT, the number of a deleted last run would be used again,
    -- while its quotes are still there if foreign keys were not enforced: sqlite3 and Python do not.
    run            INTEGER PRIMARY KEY AUTOINCREMENT,
    started        TEXT NOT NULL,       -- UTC, as 2022-02-04T06:00:00.000Z
    index_name     TEXT NOT NULL,       -- argument of --index
    source         TEXT NOT NULL,       -- argument of --from
    version        TEXT NOT NULL,       -- version of indexrank
    exit           INTEGER NOT NULL,    -- exit code: 0, 3 or 6 for a run that wrote its rankings
    error          TEXT,                -- why it wrote none; null if it did. If set, all columns below are null
    as_of          TEXT,                -- most common day of the quotes; null if no page states one
    price_currency TEXT,                -- currency of the ranking by price: RUB, or that of --in
    top            INTEGER,             -- length of the rankings: --top
    pe_range       TEXT,                -- P/E ratios that are ranked: any or positive
    rates          TEXT,                -- rates that prices were converted by: JSON, as in run.json
    ledger         TEXT                 -- what became of the listed companies: JSON, as in run.json
);

-- One row for each company of a run that wrote its rankings. Figures are texts with all their digits; the
-- views have them as numbers. A figure that the site does not show is null.
CREATE TABLE quotes (
    run              INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    code             TEXT NOT NULL, -- BRK.B
    name             TEXT NOT NULL,
    path             TEXT NOT NULL, -- of its page on the site
    currency         TEXT NOT NULL, -- of price, low52 and high52; GBX and the like are hundredths
    as_of            TEXT,          -- day of the price, or its time of day while the exchange is open
    price            TEXT,          -- in the currency of the quote
    price_rub        TEXT,          -- in roubles; null without a rate, and in a run with --in
    price_in         TEXT,          -- in the currency of --in; null without a rate, and in a run without --in
    pe               TEXT,          -- price-earnings ratio; negative for a company with a loss
    growth           TEXT,          -- over one year, in per cent
    low52            TEXT,          -- lowest price in 52 weeks, in the currency of the quote
    high52           TEXT,          -- highest price in 52 weeks, in the currency of the quote
    potential_profit TEXT,          -- (high52 / low52 - 1) * 100, in per cent
    PRIMARY KEY (run, code)
) WITHOUT ROWID;

-- The rankings of the runs.
CREATE TABLE places (
    run     INTEGER NOT NULL,
    ranking TEXT NOT NULL,    -- price, pe, growth or potential_profit
    place   INTEGER NOT NULL, -- from 1
    code    TEXT NOT NULL,
    value   TEXT NOT NULL,    -- what the ranking is sorted by; a price is in price_currency of the run
    PRIMARY KEY (run, ranking, place),
    FOREIGN KEY (run, code) REFERENCES quotes ON DELETE CASCADE
) WITHOUT ROWID;

-- The companies of all runs, with numbers.
CREATE VIEW history AS
SELECT runs.run, runs.started, runs.index_name,
    quotes.code, quotes.name, quotes.path, quotes.currency, quotes.as_of,
    CAST(quotes.price AS DOUBLE) AS price,
    CAST(quotes.price_rub AS DOUBLE) AS price_rub,
    CAST(quotes.price_in AS DOUBLE) AS price_in,
    CAST(quotes.pe AS DOUBLE) AS pe,
    CAST(quotes.growth AS DOUBLE) AS growth,
    CAST(quotes.low52 AS DOUBLE) AS low52,
    CAST(quotes.high52 AS DOUBLE) AS high52,
    CAST(quotes.potential_profit AS DOUBLE) AS potential_profit
FROM runs JOIN quotes ON quotes.run = runs.run;

-- The companies of the latest run of each index that wrote its rankings, with numbers.
CREATE VIEW latest AS
SELECT * FROM history
WHERE run IN (SELECT max(run) FROM runs WHERE error IS NULL GROUP BY index_name);

-- What has changed between the two latest runs of each index that wrote their rankings: one row for each
-- company of either. A change is the figure after less the figure before; it is null if one of them is.
CREATE VIEW changes AS
WITH ends AS (
    SELECT index_name, max(run) AS run FROM runs WHERE error IS NULL GROUP BY index_name
), pairs AS (
    SELECT ends.index_name, max(runs.run) AS run_before, ends.run AS run_after
    FROM ends JOIN runs ON runs.index_name = ends.index_name AND runs.run < ends.run
    WHERE runs.error IS NULL
    GROUP BY ends.index_name, ends.run
), companies AS (
    SELECT pairs.index_name, pairs.run_before, pairs.run_after, quotes.code
    FROM pairs JOIN quotes ON quotes.run = pairs.run_before
    UNION
    SELECT pairs.index_name, pairs.run_before, pairs.run_after, quotes.code
    FROM pairs JOIN quotes ON quotes.run = pairs.run_after
), figures AS (
    SELECT companies.index_name, companies.code, coalesce(later.name, earlier.name) AS name,
        companies.run_before, companies.run_after,
        earlier.currency AS currency_before, later.currency AS currency_after,
        CAST(earlier.price AS DOUBLE) AS price_before,
        CAST(later.price AS DOUBLE) AS price_after,
        CAST(earlier.pe AS DOUBLE) AS pe_before,
        CAST(later.pe AS DOUBLE) AS pe_after,
        CAST(earlier.growth AS DOUBLE) AS growth_before,
        CAST(later.growth AS DOUBLE) AS growth_after,
        CAST(earlier.potential_profit AS DOUBLE) AS potential_profit_before,
        CAST(later.potential_profit AS DOUBLE) AS potential_profit_after
    FROM companies
    LEFT JOIN quotes AS earlier
        ON earlier.run = companies.run_before AND earlier.code = companies.code
    LEFT JOIN quotes AS later
        ON later.run = companies.run_after AND later.code = companies.code
)
SELECT index_name, code, name, run_before, run_after,
    currency_before, -- null if the company is only in the later run
    currency_after,  -- null if the company is only in the earlier run
    price_before, price_after,
    -- Null also if the currency is another one.
    CASE WHEN currency_before = currency_after THEN price_after - price_before END AS price_change,
    CASE WHEN currency_before = currency_after THEN (price_after / price_before - 1) * 100 END
        AS price_change_percent,
    pe_before, pe_after, pe_after - pe_before AS pe_change,
    growth_before, growth_after, growth_after - growth_before AS growth_change,
    potential_profit_before, potential_profit_after,
    potential_profit_after - potential_profit_before AS potential_profit_change
FROM figures;
