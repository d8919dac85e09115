"""The rankings job with asyncio: aiohttp on uvloop, pages parsed by selectolax (lexbor).

Started by `indexrank race --also python`. Set-up: `pip install aiohttp uvloop selectolax`.

INDEXRANK_SITE and INDEXRANK_RATES are the addresses of the pages and of the exchange rates,
INDEXRANK_IN_FLIGHT the number of requests under way at a time, INDEXRANK_OUT the folder for the four
rankings. SSL_CERT_FILE, which Python reads itself, names the authority of an https server.
"""
import asyncio
import json
import os
import xml.etree.ElementTree as ElementTree
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import aiohttp
import uvloop
from selectolax.lexbor import LexborHTMLParser

SITE, RATES, OUT = (os.environ["INDEXRANK_" + name] for name in ("SITE", "RATES", "OUT"))
IN_FLIGHT = int(os.environ["INDEXRANK_IN_FLIGHT"])
INDEX = "/index/components/s&p_500?p="


def number(text):
    return Decimal(text.strip().replace(",", "").rstrip("%"))


def half_up(value):
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def index_page(html):
    """The growth of each company by its path, and the number of the last page."""
    page = LexborHTMLParser(html)
    growth = {}
    for row in page.css("tbody.table__tbody tr"):
        cells = row.css("td")
        spans = cells[7].css("span") if len(cells) == 8 else []
        growth[row.css_first("a").attributes["href"]] = number(spans[1].text()) if len(spans) == 2 else None
    numbers = [int(link.attributes["href"].split("p=")[1]) for link in page.css(".finando_paging a")]
    return growth, max(numbers, default=1)


def company(html, growth):
    page = LexborHTMLParser(html)
    items = {}
    for header in page.css(".snapshot__header"):
        items[header.text(strip=True)] = header.parent.text(deep=False, strip=True)
    low, high, ratio = (items.get(key) for key in ("52 Week Low", "52 Week High", "P/E Ratio"))
    return {
        "code": page.css_first(".price-section__category > span").text().strip(", \n"),
        "name": " ".join(page.css_first(".price-section__label").text().split()),
        "dollars": number(page.css_first(".price-section__current-value").text()),
        "P/E": number(ratio) if ratio else None,
        "growth": growth,
        "potential profit": half_up((number(high) / number(low) - 1) * 100) if low and high else None,
    }


def dollar(xml):
    for currency in ElementTree.fromstring(xml):
        if currency.findtext("CharCode") == "USD":
            return Decimal(currency.findtext("Value").replace(",", ".")) / int(currency.findtext("Nominal"))


def write(file, key, companies, lowest_first=False):
    ranked = sorted((one for one in companies if one[key] is not None), key=lambda one: one["code"])
    ranked.sort(key=lambda one: one[key], reverse=not lowest_first)
    places = [{"code": one["code"], "name": one["name"], key: float(one[key])} for one in ranked[:10]]
    Path(OUT, file).write_text(json.dumps(places))


async def main():
    permits = asyncio.Semaphore(IN_FLIGHT)
    growth, companies = {}, []

    async def get(session, address):
        async with permits, session.get(address) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def scrape_company(session, path):
        html = await get(session, SITE + path)
        companies.append(company(html, growth[path]))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with asyncio.TaskGroup() as tasks:

            def scrape_companies(rows):
                for path in rows.keys() - growth.keys():
                    growth[path] = rows[path]
                    tasks.create_task(scrape_company(session, path))

            async def scrape_index_page(number):
                rows, _ = index_page(await get(session, SITE + INDEX + str(number)))
                scrape_companies(rows)

            rates = tasks.create_task(get(session, RATES + "/scripts/XML_daily.asp"))
            rows, last = index_page(await get(session, SITE + INDEX + "1"))
            # Index pages first: they list the other companies.
            for number in range(2, last + 1):
                tasks.create_task(scrape_index_page(number))
            scrape_companies(rows)
    rate = dollar(rates.result())
    for one in companies:
        one["price"] = half_up(one["dollars"] * rate)
    write("price.json", "price", companies)
    write("pe.json", "P/E", companies, lowest_first=True)
    write("growth.json", "growth", companies)
    write("potential_profit.json", "potential profit", companies)


uvloop.run(main())
