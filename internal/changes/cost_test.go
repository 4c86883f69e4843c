package changes_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cost"
)

const (
	agentPool = "azure-native:containerservice/v20240901:AgentPool"
	images    = "azure-native:containerregistry/v20230701:Registry"
	server    = "azure-native:dbforpostgresql/v20240801:Server"
	zone      = "azure-native:network/v20240601:PrivateZone"
	publicIP  = "azure-native:network/v20240501:PublicIPAddress"
)

func poolOf(size string, least, most float64) map[string]any {
	return map[string]any{
		"location": "francecentral", "vmSize": size, "enableAutoScaling": true, "minCount": least, "maxCount": most,
		"osDiskType": "Ephemeral", "password": map[string]any{sig.Key: sig.Secret, "ciphertext": "of the pool"},
	}
}

func database(size string) map[string]any {
	return map[string]any{
		"location": "francecentral", "sku": map[string]any{"name": size}, "storage": map[string]any{"storageSizeGB": 32.0},
		"backup":                     map[string]any{"backupRetentionDays": 7.0, "geoRedundantBackup": "Disabled"},
		"administratorLoginPassword": map[string]any{sig.Key: sig.Secret, "ciphertext": "hunter2"},
	}
}

// priced is a report of an environment whose pool gets larger nodes, which loses an address, gets a
// registry, and keeps the rest.
func priced(t *testing.T, environment string, on time.Time) changes.Report {
	t.Helper()
	differs := func(path string) map[string]apitype.PropertyDiff {
		return map[string]apitype.PropertyDiff{path: {Kind: apitype.DiffUpdate, InputDiff: true}}
	}
	r := changes.Report{Environment: environment, Base: "main (abc1234)", Projects: []changes.Project{
		collected(nil,
			step(apitype.OpUpdate, agentPool, "user", poolOf("Standard_D4ds_v5", 1, 3), poolOf("Standard_D8ds_v5", 1, 3), differs("vmSize")),
			step(apitype.OpDelete, publicIP, "old", map[string]any{"location": "francecentral", "sku": map[string]any{"name": "Standard"}}, nil, nil),
			step(apitype.OpCreate, images, "images", nil, map[string]any{"location": "francecentral", "sku": map[string]any{"name": "Standard"}}, nil),
			step(apitype.OpSame, zone, "zone", map[string]any{"location": "Global"}, map[string]any{"location": "Global"}, nil),
			step(apitype.OpSame, server, "pg", database("Standard_B2s"), database("Standard_B2s"), nil),
			step(apitype.OpSame, agentPool, "odd", poolOf("Standard_X9", 1, 1), poolOf("Standard_X9", 1, 1), nil),
			step(apitype.OpSame, subnet, "aks", map[string]any{}, map[string]any{}, nil),
		),
	}}
	require.NoError(t, r.Price(on))
	return r
}

var today = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

func TestUnit_ReportsTellWhatAMonthCosts(t *testing.T) {
	t.Parallel()
	var markdown, plain bytes.Buffer
	report := priced(t, "dev", today)
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report}))
	require.NoError(t, report.WriteText(&plain, false))
	for name, got := range map[string][]byte{"cost.md": markdown.Bytes(), "cost.txt": plain.Bytes()} {
		matchFile(t, name, got)
	}
	checkShape(t, markdown.Bytes(), report)
}

// 730 hours of one to three nodes, whose price doubles from $0.264, a registry for 30 days and an
// address less.
func TestUnit_ThePriceOfAChangeIsWhatDiffersAndWhatIsThere(t *testing.T) {
	t.Parallel()
	c := priced(t, "dev", today).Cost
	require.NotNil(t, c)
	difference := c.After.Minus(c.Before)
	assert.InEpsilon(t, 730*0.264+30*0.6666-3.65, difference.Low, 0.001)
	assert.InEpsilon(t, 3*730*0.264+30*0.6666-3.65, difference.High, 0.001)
	assert.Equal(t, []string{"machine/Standard_X9"}, c.Unpriced)
	byName := map[string]changes.ResourceCost{}
	for _, r := range c.Resources {
		byName[r.Name] = r
	}
	assert.Nil(t, byName["images"].Before)
	assert.Nil(t, byName["old"].After)
	assert.NotContains(t, byName, "aks", "what is free is not told")
	assert.Equal(t, byName["pg"].Before, byName["pg"].After)
}

// The engine tells of a resource that goes what it was, whichever sides a step has.
func TestUnit_WhatIsDeletedCostsNothing(t *testing.T) {
	t.Parallel()
	address := map[string]any{"location": "francecentral", "sku": map[string]any{"name": "Standard"}}
	r := changes.Report{Environment: "dev", Projects: []changes.Project{
		collected(nil, step(apitype.OpDelete, publicIP, "old", address, address, nil)),
	}}
	require.NoError(t, r.Price(today))
	assert.InDelta(t, 3.65, r.Cost.Before.Low, 0.01)
	assert.Zero(t, r.Cost.After)
}

// Inputs are only used for counting: none of them is in a report.
func TestUnit_WhatIsCountedIsNotInTheReport(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(priced(t, "dev", today))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")
	assert.NotContains(t, string(text), "of the pool")
	assert.NotContains(t, string(text), sig.Key)
	var read changes.Report
	require.NoError(t, json.Unmarshal(text, &read))
	again, err := json.Marshal(read)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(again))
}

// A change that costs more than its budget is risky, with the figures. The same change is plain
// where the budget is larger, and a change that saves money is never risky.
func TestUnit_WhatPassesABudgetIsRisky(t *testing.T) {
	t.Parallel()
	levels := func(environment string) (map[string]changes.Level, string) {
		found, reasons := map[string]changes.Level{}, ""
		for _, c := range priced(t, environment, today).All() {
			found[c.Name] = c.Level
			reasons += strings.Join(c.Reasons, "\n") + "\n"
		}
		return found, reasons
	}
	found, reasons := levels("dev") // whose budget for one change is 250
	assert.Equal(t, changes.Risky, found["user"])
	assert.Equal(t, changes.Costly, found["images"])
	assert.Contains(t, reasons, "costs up to 578.16 USD a month more, and the budget of one change is 250.00 USD")
	found, reasons = levels("prod")
	assert.Equal(t, changes.Costly, found["user"])
	assert.NotContains(t, reasons, "budget")
}

// The whole environment has a budget too: once it is exceeded, every change that makes the
// environment dearer is risky.
func TestUnit_AnEnvironmentOverItsBudgetIsTold(t *testing.T) {
	t.Parallel()
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpSame, agentPool, "large", poolOf("Standard_D16ds_v5", 3, 3), poolOf("Standard_D16ds_v5", 3, 3), nil),
		step(apitype.OpCreate, zone, "zone", nil, map[string]any{"location": "Global"}, nil),
	)}}
	require.NoError(t, r.Price(today))
	require.Len(t, r.All(), 1)
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text, false))
	assert.NotContains(t, text.String(), "Not priced", "everything is")
	assert.Equal(t, changes.Risky, r.All()[0].Level)
	assert.Contains(t, strings.Join(r.All()[0].Reasons, "; "),
		"costs up to 0.50 USD a month more; the environment then costs up to 2313.14 USD, and its budget is 2200.00 USD")
}

// What costs exactly what the budget allows is not over it, and a budget of 0 is none.
func TestUnit_ABudgetMayBeSpent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget cost.Budget
		want   changes.Level
	}{
		"none":                     {cost.Budget{}, changes.Costly},
		"exactly that of a change": {cost.Budget{More: 100}, changes.Costly},
		"less than the change":     {cost.Budget{More: 99.99}, changes.Risky},
		"exactly that of a month":  {cost.Budget{Month: 300}, changes.Costly},
		"less than the month":      {cost.Budget{Month: 299.99}, changes.Risky},
	} {
		r := changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos-infra", Changes: []changes.Change{
			{URN: "urn:x", Op: changes.Create, Level: changes.Costly},
		}}}}
		r.Cost = &changes.Cost{
			Currency: "USD", After: cost.Range{Low: 300, High: 300},
			Resources: []changes.ResourceCost{{URN: "urn:x", After: &cost.Estimate{Lines: []cost.Line{{Month: cost.Range{Low: 100, High: 100}}}}}},
		}
		r.Weigh(test.budget)
		assert.Equal(t, test.want, r.All()[0].Level, name)
	}
}

func TestUnit_OldPricesAreTold(t *testing.T) {
	t.Parallel()
	at := func(on time.Time) string {
		var text bytes.Buffer
		r := priced(t, "dev", on)
		require.NoError(t, r.WriteText(&text, false))
		return text.String()
	}
	assert.NotContains(t, at(time.Date(2024, 7, 2, 0, 0, 0, 0, time.UTC)), "older than 180 days")
	assert.Contains(t, at(today), "3 of 6 prices are older than 180 days, the oldest of 2024-07-01; make prices brings them up to date.")
	assert.Contains(t, at(today.AddDate(1, 0, 0)), "6 of 6 prices are older")
}

func TestUnit_WhatARefreshFindsHasNoPrice(t *testing.T) {
	t.Parallel()
	found := step(apitype.OpUpdate, agentPool, "user", poolOf("Standard_D4ds_v5", 1, 3), poolOf("Standard_D8ds_v5", 1, 3), nil)
	c := changes.Collector{Refresh: true}
	c.See(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: found.ResourcePreEvent.Metadata}})
	r := changes.Report{Environment: "dev", Drift: true, Projects: []changes.Project{c.Project("gridos-infra", nil)}}
	require.NoError(t, r.Price(today))
	assert.Nil(t, r.Cost)
}
