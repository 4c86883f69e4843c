package cost_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cost"
)

// listed is the meter of bookWith, in France Central, in a price list that answers with pages.
func listed(t *testing.T, pages ...string) cost.Answer {
	t.Helper()
	served := 0
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served == 0 {
			assert.Equal(t, "priceType eq 'Consumption' and serviceName eq 'Container Registry' and meterName eq 'Basic Registry Unit' and "+
				"armRegionName eq 'francecentral'", r.URL.Query().Get("$filter"))
			assert.Equal(t, "USD", r.URL.Query().Get("currencyCode"))
		} else {
			assert.Equal(t, fmt.Sprint(served), r.URL.Query().Get("$skip"))
		}
		page := pages[min(served, len(pages)-1)]
		served++
		if page == "" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		page = strings.Replace(page, "NEXT", fmt.Sprintf(`"NextPageLink":"%s/?$skip=%d"`, server.URL, served), 1)
		_, err := w.Write([]byte(page))
		assert.NoError(t, err)
	}))
	defer server.Close()
	book, err := cost.Parse([]byte(strings.Replace(bookWith(""), "REGIONS", " [{region: francecentral, price: 3, asOf: 2026-01-01, source: s}]", 1)))
	require.NoError(t, err)
	answers, err := book.Ask(t.Context(), server.Client(), server.URL, "francecentral")
	require.NoError(t, err)
	require.Len(t, answers, 1)
	assert.InDelta(t, 3, answers[0].Was, 0)
	return answers[0]
}

func TestUnit_ThePriceListIsReadToItsLastPage(t *testing.T) {
	t.Parallel()
	answer := listed(t,
		`{"Items":[{"retailPrice":0.01,"skuName":"Basic Spot"}],NEXT}`,
		`{"Items":[{"retailPrice":0.02,"productName":"Registry Windows"},{"retailPrice":0.03,"effectiveEndDate":"2026-01-01T00:00:00Z"}],NEXT}`,
		`{"Items":[{"retailPrice":0,"tierMinimumUnits":0},{"retailPrice":0.2,"tierMinimumUnits":5},{"retailPrice":0.1,"tierMinimumUnits":500}],"NextPageLink":null}`)
	require.NoError(t, answer.Err)
	assert.InDelta(t, 0.2, answer.Price, 0, "neither a discount, nor Windows, nor the past, nor what is free, nor a later tier")
}

func TestUnit_WithoutOnePriceThereIsNone(t *testing.T) {
	t.Parallel()
	for want, pages := range map[string][]string{
		cost.ErrNoMatch.Error():                          {`{"Items":[],"NextPageLink":""}`},
		cost.ErrSeveralMatches.Error():                   {`{"Items":[{"retailPrice":1},{"retailPrice":2}]}`},
		"the price list answers 429 Too Many Requests":   {``},
		"the answer of the price list cannot be read":    {`<html>`},
		"there are more than 20 pages":                   {`{"Items":[{"retailPrice":1}],NEXT}`},
		"which is not the price list that was asked":     {`{"Items":[],"NextPageLink":"http://elsewhere.example/"}`},
		"the price list answers 429 Too Many Requests\n": {`{"Items":[{"retailPrice":1}],NEXT}`, ``},
	} {
		answer := listed(t, pages...)
		require.ErrorContains(t, answer.Err, strings.TrimSpace(want))
		assert.Zero(t, answer.Price, want)
	}
}

func TestUnit_ABookIsRewrittenWhereThereIsAnAnswer(t *testing.T) {
	t.Parallel()
	text := strings.Replace(bookWith("# the end\n"), "REGIONS", `
      # by hand
      - {region: westus, price: 1, asOf: 2026-01-01, source: s}
      - {region: northeurope, price: 2, asOf: 2026-01-01, source: s}`, 1)
	made, err := cost.Rewrite([]byte(text), []cost.Answer{
		{Meter: "registry/Basic", Region: "northeurope", Price: 2.5},
		{Meter: "registry/Basic", Region: "francecentral", Price: 0.1666},
		{Meter: "registry/Basic", Region: "westus", Err: cost.ErrNoMatch},
	}, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	for _, line := range []string{
		"# by hand\n", "# the end\n",
		"- {region: westus, price: 1, asOf: 2026-01-01, source: s}\n",
		"- {region: northeurope, price: 2.5, asOf: 2026-12-01, source: retail-prices}\n",
		"- {region: francecentral, price: 0.1666, asOf: 2026-12-01, source: retail-prices}\n",
	} {
		assert.Contains(t, string(made), line)
	}
	book, err := cost.Parse(made)
	require.NoError(t, err)
	assert.Equal(t, cost.RetailPrices, book.Sources["retail-prices"].URL)
}

// The book that is shipped survives being written again without an answer.
func TestUnit_TheShippedBookCanBeRewritten(t *testing.T) {
	t.Parallel()
	before, err := cost.Shipped()
	require.NoError(t, err)
	text, err := os.ReadFile("prices.yaml")
	require.NoError(t, err)
	made, err := cost.Rewrite(text, nil, time.Time{})
	require.NoError(t, err)
	after, err := cost.Parse(made)
	require.NoError(t, err)
	assert.Equal(t, before.Meters, after.Meters)
	assert.Equal(t, strings.Count(string(text), "#"), strings.Count(string(made), "#"))
}
