// The rankings job with goroutines: net/http, pages parsed by goquery.
//
// Started by `indexrank race --also go`.
// Set-up: apt-get install golang-go golang-github-puerkitobio-goquery-dev
//
// INDEXRANK_SITE and INDEXRANK_RATES are the addresses of the pages and of the exchange rates,
// INDEXRANK_IN_FLIGHT the number of requests under way at a time, INDEXRANK_OUT the folder for the four
// rankings. SSL_CERT_FILE, which Go reads itself, names the authority of an https server.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/PuerkitoBio/goquery"
)

const index = "/index/components/s&p_500?p="

var (
	site   = os.Getenv("INDEXRANK_SITE")
	rates  = os.Getenv("INDEXRANK_RATES")
	out    = os.Getenv("INDEXRANK_OUT")
	client http.Client
	// Holds a value for each request under way.
	permits chan struct{}
)

// Figures of one company; nil if the page shows none.
type company struct {
	code, name                     string
	dollars, pe, growth, potential *big.Rat
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func get(address string) []byte {
	permits <- struct{}{}
	defer func() { <-permits }()
	answer, err := client.Get(address)
	check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", address, answer.Status)
	}
	body, err := io.ReadAll(answer.Body)
	check(err)
	return body
}

func parse(html []byte) *goquery.Document {
	page, err := goquery.NewDocumentFromReader(bytes.NewReader(html))
	check(err)
	return page
}

func number(text string) *big.Rat {
	text = strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(text), ",", ""), "%")
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		log.Fatalf("no number: %q", text)
	}
	return value
}

// Rounds half up to two decimals.
func halfUp(value *big.Rat) *big.Rat {
	scaled := new(big.Rat).Mul(value, big.NewRat(100, 1))
	scaled.Add(scaled, big.NewRat(1, 2))
	// Euclidean division by a positive number rounds down.
	whole, _ := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int))
	return new(big.Rat).SetFrac(whole, big.NewInt(100))
}

// The growth of each company by its path, and the number of the last page.
func readIndexPage(html []byte) (map[string]*big.Rat, int) {
	page := parse(html)
	growth := map[string]*big.Rat{}
	page.Find("tbody.table__tbody tr").Each(func(_ int, row *goquery.Selection) {
		path := row.Find("a").First().AttrOr("href", "")
		growth[path] = nil
		if cells := row.Find("td"); cells.Length() == 8 {
			if spans := cells.Eq(7).Find("span"); spans.Length() == 2 {
				growth[path] = number(spans.Eq(1).Text())
			}
		}
	})
	last := 1
	page.Find(".finando_paging a").Each(func(_ int, link *goquery.Selection) {
		_, text, _ := strings.Cut(link.AttrOr("href", ""), "p=")
		if number, err := strconv.Atoi(text); err == nil && number > last {
			last = number
		}
	})
	return growth, last
}

func readCompany(html []byte) company {
	page := parse(html)
	items := map[string]string{}
	page.Find(".snapshot__header").Each(func(_ int, header *goquery.Selection) {
		for node := header.Nodes[0].Parent.FirstChild; node != nil; node = node.NextSibling {
			if text := strings.TrimSpace(node.Data); node.FirstChild == nil && text != "" {
				items[strings.TrimSpace(header.Text())] = text
				break
			}
		}
	})
	one := company{
		code:    strings.Trim(page.Find(".price-section__category > span").First().Text(), ", \n"),
		name:    strings.Join(strings.Fields(page.Find(".price-section__label").First().Text()), " "),
		dollars: number(page.Find(".price-section__current-value").First().Text()),
	}
	if ratio := items["P/E Ratio"]; ratio != "" {
		one.pe = number(ratio)
	}
	if low, high := items["52 Week Low"], items["52 Week High"]; low != "" && high != "" {
		profit := new(big.Rat).Quo(number(high), number(low))
		profit.Sub(profit, big.NewRat(1, 1)).Mul(profit, big.NewRat(100, 1))
		one.potential = halfUp(profit)
	}
	return one
}

// Roubles for a dollar.
func dollar(xml []byte) *big.Rat {
	entry := regexp.MustCompile(`(?s)<CharCode>USD</CharCode>.*?<Nominal>(\d+)</Nominal>.*?<Value>([\d,]+)</Value>`)
	found := entry.FindSubmatch(xml)
	if found == nil {
		log.Fatal("no rate of the dollar")
	}
	value := number(strings.Replace(string(found[2]), ",", ".", 1))
	return value.Quo(value, number(string(found[1])))
}

func write(file, key string, companies []company, figure func(company) *big.Rat, lowestFirst bool) {
	ranked := []company{}
	for _, one := range companies {
		if figure(one) != nil {
			ranked = append(ranked, one)
		}
	}
	sort.Slice(ranked, func(i, j int) bool {
		order := figure(ranked[i]).Cmp(figure(ranked[j]))
		if order == 0 {
			return ranked[i].code < ranked[j].code
		}
		return (order < 0) == lowestFirst
	})
	if len(ranked) > 10 {
		ranked = ranked[:10]
	}
	places := []map[string]any{}
	for _, one := range ranked {
		value, _ := figure(one).Float64()
		places = append(places, map[string]any{"code": one.code, "name": one.name, key: value})
	}
	text, err := json.Marshal(places)
	check(err)
	check(os.WriteFile(filepath.Join(out, file), text, 0o644))
}

func main() {
	inFlight, err := strconv.Atoi(os.Getenv("INDEXRANK_IN_FLIGHT"))
	check(err)
	permits = make(chan struct{}, inFlight)
	// The default keeps two idle connections of a host.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = inFlight
	transport.MaxIdleConns = inFlight
	transport.ForceAttemptHTTP2 = false
	client.Transport = transport

	var (
		pages     sync.WaitGroup
		lock      sync.Mutex
		growth    = map[string]*big.Rat{}
		companies []company
	)
	scrapeCompany := func(path string, growth *big.Rat) {
		defer pages.Done()
		one := readCompany(get(site + path))
		one.growth = growth
		lock.Lock()
		companies = append(companies, one)
		lock.Unlock()
	}
	scrapeCompanies := func(rows map[string]*big.Rat) {
		lock.Lock()
		defer lock.Unlock()
		for path, value := range rows {
			if _, known := growth[path]; !known {
				growth[path] = value
				pages.Add(1)
				go scrapeCompany(path, value)
			}
		}
	}

	rate := make(chan *big.Rat, 1)
	go func() { rate <- dollar(get(rates + "/scripts/XML_daily.asp")) }()
	rows, last := readIndexPage(get(fmt.Sprint(site, index, 1)))
	// Index pages first: they list the other companies.
	for page := 2; page <= last; page++ {
		pages.Add(1)
		go func(page int) {
			defer pages.Done()
			rows, _ := readIndexPage(get(fmt.Sprint(site, index, page)))
			scrapeCompanies(rows)
		}(page)
	}
	scrapeCompanies(rows)
	pages.Wait()

	roubles := <-rate
	price := func(one company) *big.Rat { return halfUp(new(big.Rat).Mul(one.dollars, roubles)) }
	write("price.json", "price", companies, price, false)
	write("pe.json", "P/E", companies, func(one company) *big.Rat { return one.pe }, true)
	write("growth.json", "growth", companies, func(one company) *big.Rat { return one.growth }, false)
	write("potential_profit.json", "potential profit", companies, func(one company) *big.Rat { return one.potential }, false)
}
