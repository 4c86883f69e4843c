package cost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/yamlnode"
)

// RetailPrices is the address of Azure's public price list. It asks for no credentials.
const RetailPrices = "https://prices.azure.com/api/retail/prices"

// Query finds a meter in the price list
// (learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices).
type Query struct {
	Service string `yaml:"service"`
	Product string `yaml:"product"`
	Meter   string `yaml:"meter"`
	ArmSKU  string `yaml:"armSku"`
	// Region is the list's name of where the price holds, if that is no region of Azure.
	Region string `yaml:"region"`
	// Per is how many of the meter's units one of the list's has; none is one.
	Per float64 `yaml:"per"`
}

// Answer is what the list has of one meter in one region.
type Answer struct {
	Meter, Region string
	// Was is the price of the book, or 0, and Price that of the list, unless Err says why there is
	// none.
	Was, Price float64
	Err        error
}

// The answers that give no price. The book keeps the one that it has.
var (
	ErrNoMatch        = errors.New("the price list has no such meter")
	ErrSeveralMatches = errors.New("the price list has several prices for it; name more in its query")
)

// Ask asks the price list at an address for all meters of a book in a region.
func (b Book) Ask(ctx context.Context, client *http.Client, address, region string) ([]Answer, error) {
	var answers []Answer
	for _, m := range b.Meters {
		query := m.query(region)
		answer := Answer{Meter: m.Name, Region: region}
		if m.Query.Region != "" || m.Prices[0].Region == Everywhere {
			answer.Region = Everywhere
		}
		for _, p := range m.Prices {
			if p.Region == answer.Region {
				answer.Was = p.Price
			}
		}
		items, err := b.items(ctx, client, address, query)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			answer.Price, err = choose(items)
		}
		if answer.Err = err; err == nil && query.Per > 0 {
			answer.Price /= query.Per
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// query is what finds the meter in a region. A machine is found by its size.
func (m Meter) query(region string) Query {
	q := m.Query
	if size, ok := strings.CutPrefix(m.Name, "machine/"); ok {
		q = Query{Service: "Virtual Machines", ArmSKU: size}
	}
	if q.Region == "" {
		q.Region = region
	}
	return q
}

// item has the fields of an entry of the price list that the program reads.
type item struct {
	RetailPrice      float64 `json:"retailPrice"`
	TierMinimumUnits float64 `json:"tierMinimumUnits"`
	EffectiveEndDate string  `json:"effectiveEndDate"`
	ProductName      string  `json:"productName"`
	SKUName          string  `json:"skuName"`
	UnitOfMeasure    string  `json:"unitOfMeasure"`
}

// mostPages bounds what is read for one meter: a query that matches more is no query for a meter.
const mostPages = 20

// items reads all pages of what a query matches.
func (b Book) items(ctx context.Context, client *http.Client, address string, q Query) ([]item, error) {
	start, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conditions := []string{"priceType eq 'Consumption'"}
	for _, c := range []struct{ field, value string }{
		{"serviceName", q.Service},
		{"productName", q.Product},
		{"meterName", q.Meter},
		{"armSkuName", q.ArmSKU},
		{"armRegionName", q.Region},
	} {
		if c.value != "" {
			conditions = append(conditions, c.field+" eq '"+strings.ReplaceAll(c.value, "'", "''")+"'")
		}
	}
	start.RawQuery = url.Values{
		"api-version": {"2023-01-01-preview"}, "currencyCode": {b.Currency}, "$filter": {strings.Join(conditions, " and ")},
	}.Encode()
	var all []item
	next := start
	for range mostPages {
		page, following, err := read(ctx, client, next.String())
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if following == "" {
			return all, nil
		}
		if next, err = url.Parse(following); err != nil || next.Host != start.Host || next.Scheme != start.Scheme {
			return nil, fmt.Errorf("the next page is at %q, which is not the price list that was asked", following)
		}
	}
	return nil, fmt.Errorf("there are more than %d pages; name more in the query of the meter", mostPages)
}

// mostBytes bounds one page: a hundred entries have less than a tenth of it.
const mostBytes = 10 << 20

func read(ctx context.Context, client *http.Client, address string) (items []item, next string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("the price list answers %s", response.Status)
	}
	var page struct {
		Items        []item `json:"Items"`
		NextPageLink string `json:"NextPageLink"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, mostBytes)).Decode(&page); err != nil {
		return nil, "", fmt.Errorf("the answer of the price list cannot be read: %w", err)
	}
	return page.Items, page.NextPageLink, nil
}

// choose returns the price that applies: the first tier that is not free, among the items still on
// sale, without discounts and without Windows licences.
func choose(items []item) (float64, error) {
	var chosen *item
	for i := range items {
		it := &items[i]
		discounted := strings.Contains(it.SKUName, "Spot") || strings.Contains(it.SKUName, "Low Priority")
		if it.RetailPrice <= 0 || it.EffectiveEndDate != "" || discounted || strings.Contains(it.ProductName, "Windows") ||
			strings.HasPrefix(it.ProductName, "Cloud Services") {
			continue
		}
		switch {
		case chosen == nil || it.TierMinimumUnits < chosen.TierMinimumUnits:
			chosen = it
		case it.TierMinimumUnits == chosen.TierMinimumUnits && it.RetailPrice != chosen.RetailPrice:
			return 0, ErrSeveralMatches
		}
	}
	if chosen == nil {
		return 0, ErrNoMatch
	}
	return chosen.RetailPrice, nil
}

// Rewrite returns the text of a book with the prices of the answers, of a day. Prices without an
// answer, and all comments, stay.
func Rewrite(text []byte, answers []Answer, day time.Time) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("the price book cannot be read: %w", err)
	}
	root := document.Content[0]
	sources := yamlnode.Field(root, "sources")
	if yamlnode.Field(sources, "retail-prices") == nil {
		yamlnode.Add(sources, "retail-prices", yamlnode.Mapping("what", "Azure's retail price API", "url", RetailPrices))
	}
	meters := map[string]*yaml.Node{}
	for _, meter := range yamlnode.Field(root, "meters").Content {
		meters[yamlnode.Field(meter, "name").Value] = yamlnode.Field(meter, "prices")
	}
	for _, a := range answers {
		if a.Err != nil {
			continue
		}
		entry := yamlnode.Mapping("region", a.Region, "price", strconv.FormatFloat(a.Price, 'g', 6, 64),
			"asOf", day.Format(time.DateOnly), "source", "retail-prices")
		entry.Style = yaml.FlowStyle
		prices := meters[a.Meter]
		replaced := false
		for i, old := range prices.Content {
			if yamlnode.Field(old, "region").Value == a.Region {
				prices.Content[i], replaced = entry, true
			}
		}
		if !replaced {
			prices.Content = append(prices.Content, entry)
		}
	}
	made, err := yamlnode.Marshal(&document)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(made); err != nil {
		return nil, err
	}
	return made, nil
}
