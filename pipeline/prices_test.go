package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const priceBook = `# Its comments stay.
currency: USD
sources: {s: {what: w, url: "https://s.example"}}
free: {source: s, asOf: 2026-01-01}
meters:
  - name: registry/Basic # and so does this
    unit: day
    query: {service: Container Registry, meter: Basic Registry Unit}
    prices:
      - {region: francecentral, price: 0.1, asOf: 2026-01-01, source: s}
  - name: gateway/WAF_v2
    unit: hour
    query: {service: Application Gateway}
    prices:
      - {region: eastus, price: 0.4, asOf: 2022-01-01, source: s}
`

func TestUnit_PricesAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	list := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"Items":[]}`
		if strings.Contains(r.URL.Query().Get("$filter"), "Basic Registry Unit") {
			answer = `{"Items":[{"retailPrice":0.2}]}`
		}
		_, err := w.Write([]byte(answer))
		assert.NoError(t, err)
	}))
	defer list.Close()
	file := write(t, "prices.yaml", priceBook)
	prices := func(args ...string) (string, int) {
		code, said := runs(t, append([]string{"prices", "--book", file}, args...)...)
		return said, code
	}
	said, code := prices("--list", list.URL)
	require.Zero(t, code, said)
	assert.Contains(t, said, "1 of 2 prices are of today now")
	assert.Regexp(t, `francecentral +\S+ +0\.2 +changed`, said)
	assert.Contains(t, said, "the price list has no such meter")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "{region: francecentral, price: 0.2, asOf: "+time.Now().Format(time.DateOnly)+", source: retail-prices}")
	assert.Contains(t, string(text), "{region: eastus, price: 0.4, asOf: 2022-01-01, source: s}")

	said, code = prices("--list", list.URL)
	require.Zero(t, code, said)
	assert.NotContains(t, said, "changed", "the price is what it was")
	deafly(t, "prices", "--book", file, "--list", list.URL)

	list.Config.Handler = http.NotFoundHandler()
	said, code = prices("--list", list.URL)
	assert.Equal(t, 1, code)
	assert.Contains(t, said, "404 Not Found")
	assert.Contains(t, said, "the book was left as it is")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(after))

	// The book cannot be written: a folder has its name by then.
	list.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			assert.NoError(t, os.Remove(file))
			assert.NoError(t, os.Mkdir(file, 0o700))
		}
		_, err := w.Write([]byte(`{"Items":[{"retailPrice":0.3}]}`))
		assert.NoError(t, err)
	})
	said, code = prices("--list", list.URL)
	assert.Equal(t, 1, code)
	assert.Contains(t, said, "is a directory")
	assert.NotContains(t, said, "are of today now")
}
