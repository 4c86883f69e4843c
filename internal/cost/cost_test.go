package cost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/cost"
)

// registered is what infra registers in an environment, by its golden file.
func registered(t *testing.T, environment string) []cost.Resource {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "infra", "program", "testdata", environment+".yaml"))
	require.NoError(t, err)
	var golden []struct {
		Type, Name string
		Inputs     map[string]any
	}
	require.NoError(t, yaml.Unmarshal(text, &golden))
	var resources []cost.Resource
	for _, g := range golden {
		resources = append(resources, cost.Resource{URN: g.Name, Type: g.Type, Inputs: g.Inputs})
	}
	require.Greater(t, len(resources), 50)
	return resources
}

// Every resource that infra registers is counted or known to be free, and meters stay unpriced only
// because no public price exists.
func TestUnit_AllThatInfraRegistersIsCounted(t *testing.T) {
	t.Parallel()
	book, err := cost.Shipped()
	require.NoError(t, err)
	for _, environment := range []string{"dev", "test", "prod"} {
		resources := registered(t, environment)
		priced := 0
		for i, e := range book.Estimates(resources) {
			if len(e.Lines) > 0 {
				priced++
			}
			for _, name := range e.Unpriced() {
				assert.Equal(t, "egress/Internet", name, "%s of %s", resources[i].URN, environment)
			}
		}
		assert.Greater(t, priced, 7, environment)
	}
}

// The estimate names unknown quantities. It never counts them as 0, and still counts the rest.
func TestUnit_WhatIsNotKnownIsNotPriced(t *testing.T) {
	t.Parallel()
	book, err := cost.Shipped()
	require.NoError(t, err)
	secret := object{"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
	for _, test := range []struct {
		kind   string
		inputs object
		want   string
	}{
		{nodePool, nodes("Standard_X99_v9", 1, 2), "machine/Standard_X99_v9"},
		{nodePool, object{"vmSize": "Standard_D4ds_v5"}, "machine/size or number of nodes"},
		{nodePool, object{"vmSize": "Standard_D4ds_v5", "count": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}, "machine/size or number of nodes"},
		{nodePool, object{"vmSize": secret, "count": 1.0}, "machine/size or number of nodes"},
		{nodePool, object{"vmSize": "Standard_D4ds_v5", "count": 1.0, "osDiskSizeGB": 1024.0}, "disk/P30"},
		{images, sku("Ultimate"), "registry/Ultimate"},
		{images, object{}, "registry/"},
		{kubernetes, object{}, "kubernetes/tier"},
		{postgresql, server("Standard_E4ds_v5", "Disabled", 32, 7, "Disabled"), "postgresql/Edsv5"},
		{postgresql, object{"sku": object{"name": "Standard_B2s"}}, "postgresql/storage of the default size"},
		{appGateway, object{"sku": object{"tier": "WAF_v2"}}, "gateway/capacity"},
		{address, sku("Basic"), "address/Basic"},
		{"azure-native:network/v20240501:VirtualNetworkPeering", object{}, "peering/VirtualNetwork data"},
		{alert, on("*"), "alert/Metric of all values of a dimension"},
		{"azure-native:compute:Disk", object{}, "compute:Disk"},
	} {
		estimate := book.Estimates(one(test.kind, test.inputs))[0]
		assert.Contains(t, estimate.Unpriced(), test.want)
		for _, line := range estimate.Lines {
			if line.Meter == test.want {
				assert.Zero(t, line.Month)
				assert.NotContains(t, line.Meter, "ciphertext")
			}
		}
	}
	for _, kind := range []string{"kubernetes:core/v1:Service", "random:index/randomPassword:RandomPassword", "azure-native:network:Subnet"} {
		assert.Empty(t, book.Estimates(one(kind, object{}))[0].Lines, kind)
	}
}

// The estimate says when a price is that of another region.
func TestUnit_APriceIsOfTheRegionIfThereIsOne(t *testing.T) {
	t.Parallel()
	book, err := cost.Parse([]byte(strings.Replace(bookWith(""), "REGIONS", `
      - {region: westus, price: 1, asOf: 2026-01-01, source: s}
      - {region: northeurope, price: 2, asOf: 2026-01-01, source: s}`, 1)))
	require.NoError(t, err)
	for region, want := range map[string]struct {
		price     float64
		elsewhere bool
	}{"northeurope": {2, false}, "westus": {1, false}, "francecentral": {1, true}} {
		line := book.Estimates([]cost.Resource{{Type: images, Inputs: object{"location": region, "sku": object{"name": "Basic"}}}})[0].Lines[0]
		assert.InDelta(t, want.price, line.Price, 0, region)
		assert.Equal(t, want.elsewhere, line.Elsewhere, region)
		assert.InDelta(t, 30*want.price, line.Month.High, 1e-9)
		assert.Equal(t, "https://s.example", line.Source)
	}
}

// bookWith is a book of one meter, with the prices instead of REGIONS, and something else.
func bookWith(more string) string {
	return `currency: USD
sources: {s: {what: w, url: "https://s.example"}}
free: {source: s, asOf: 2026-01-01}
meters:
  - name: registry/Basic
    unit: day
    query: {service: Container Registry, meter: Basic Registry Unit}
    prices:REGIONS
` + more
}

func TestUnit_ABookWithMistakesIsRefused(t *testing.T) {
	t.Parallel()
	for mistake, prices := range map[string]string{
		`has the source "t"`:               " [{region: a, price: 1, asOf: 2026-01-01, source: t}]",
		`no day like 2026-01-31 in asOf`:   " [{region: a, price: 1, asOf: lately, source: s}]",
		`no region and price above 0`:      " [{region: a, price: 0, asOf: 2026-01-01, source: s}]",
		`two prices of a; keep one`:        " [{region: a, price: 1, asOf: 2026-01-01, source: s}, {region: a, price: 2, asOf: 2026-01-01, source: s}]",
		`needs a name of its own`:          " []",
		`field cost not found in type`:     " [{region: a, cost: 1}]",
		`cannot unmarshal !!str`:           " [{region: a, price: cheap}]",
		`the price book cannot be read: y`: " [",
	} {
		_, err := cost.Parse([]byte(strings.Replace(bookWith(""), "REGIONS", prices, 1)))
		require.ErrorContains(t, err, mistake)
	}
}

func TestUnit_BudgetsWithMistakesAreRefused(t *testing.T) {
	t.Parallel()
	for text, mistake := range map[string]string{"dev: {year: 1}": "field year not found", "dev: {month: -1}": "the budget of dev is below 0"} {
		_, err := cost.ParseBudgets([]byte(text))
		require.ErrorContains(t, err, mistake)
	}
	shipped, err := cost.Budgets()
	require.NoError(t, err)
	book, err := cost.Shipped()
	require.NoError(t, err)
	for _, environment := range []string{"dev", "test", "prod"} { // what is shipped is within its budget
		var sum cost.Range
		for _, e := range book.Estimates(registered(t, environment)) {
			sum = sum.Plus(e.Month())
		}
		assert.Less(t, sum.High, shipped[environment].Month, environment)
		assert.Greater(t, sum.High, shipped[environment].Month/2, environment)
		assert.NotZero(t, shipped[environment].More, environment)
	}
}
