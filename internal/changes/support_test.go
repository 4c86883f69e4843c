package changes_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/support"
)

const (
	aks      = "azure-native:containerservice/v20240901:ManagedCluster"
	postgres = "azure-native:dbforpostgresql/v20240801:Server"
)

// dates are those of the tests; a later reading of docs/support-dates.yaml changes nothing in them.
const dates = `
sources:
  aks: {what: a calendar, url: "https://aks.example", read: 2026-08-21}
  pg: {what: a policy, url: "https://pg.example", read: 2026-08-22}
rows:
  - {what: Kubernetes on AKS, version: "1.35", ends: 2027-03-31, rule: a year, source: aks}
  - {what: Istio add-on of AKS, version: asm-1-29, ends: 2026-09-30, rule: n-2, source: aks}
  - {what: Istio add-on of AKS, version: asm-1-30, ends: 2026-12-31, expected: true, rule: n-2, source: aks}
  - {what: PostgreSQL on Azure, version: "16", ends: 2028-11-09, rule: five years, source: pg}
  - {what: Azure API of containerservice, version: 2024-09-01, ends: no date published, rule: years, source: aks}
  - {what: Azure API of dbforpostgresql, version: 2024-08-01, ends: no date published, rule: years, source: pg}
`

// versioned is a report of an environment whose cluster gets another revision of the mesh, and
// whose server stays; a server with a version that is not known of is deleted. Nothing else names
// a version.
func versioned(t *testing.T, on time.Time) changes.Report {
	t.Helper()
	cluster := func(revision string) map[string]any {
		return map[string]any{
			"kubernetesVersion": "1.35", "serviceMeshProfile": map[string]any{"istio": map[string]any{"revisions": []any{revision}}},
		}
	}
	of := func(version string) map[string]any { return map[string]any{"version": version} }
	r := changes.Report{Environment: "prod", Base: "main (abc1234)", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, aks, "aks", cluster("asm-1-29"), cluster("asm-1-30"), nil),
		step(apitype.OpSame, postgres, "pg", of("16"), of("16"), nil),
		step(apitype.OpDelete, postgres, "old", of("9"), nil, nil),
	)}}
	book, err := support.Parse([]byte(dates))
	require.NoError(t, err)
	r.CheckSupportBy(book, on)
	return r
}

func date(month time.Month, day int) time.Time {
	return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC)
}

func TestUnit_ReportsTellWhatEndsSoon(t *testing.T) {
	t.Parallel()
	report := versioned(t, time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC))
	var markdown, plain bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report}))
	require.NoError(t, report.WriteText(&plain, false))
	for name, got := range map[string][]byte{"support.md": markdown.Bytes(), "support.txt": plain.Bytes()} {
		matchFile(t, name, got)
	}
	checkShape(t, markdown.Bytes(), report)
}

// Only versions that the environment has after the update count: not those of the other side, nor
// of other environments.
func TestUnit_AReportWarns90DaysBeforeAnEnd(t *testing.T) {
	t.Parallel()
	assert.Nil(t, versioned(t, date(time.October, 1)).Support, "91 days before, and nothing else is named")
	found := versioned(t, date(time.October, 2)).Support
	require.NotNil(t, found)
	require.Len(t, found.Ending, 1)
	assert.Equal(t, support.Named{What: support.Mesh, Version: "asm-1-30"}, found.Ending[0].Named)
	assert.Equal(t, 90, found.Ending[0].Days)
	assert.Empty(t, found.Unknown)
	for day, says := range map[int]string{30: "in 1 day ", 31: "today "} {
		var text bytes.Buffer
		require.NoError(t, versioned(t, date(time.December, day)).WriteText(&text, false))
		assert.Contains(t, text.String(), "2026-12-31, expected   "+says)
	}
}

func TestUnit_WhatIsNotKnownOfAVersionIsTold(t *testing.T) {
	t.Parallel()
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpCreate, "azure-native:dbforpostgresql:Server", "pg", nil, map[string]any{"version": "19"}, nil),
	)}}
	require.NoError(t, r.CheckSupport(date(time.October, 1)))
	require.NotNil(t, r.Support)
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text, false))
	assert.Contains(t, text.String(), "Not known until when it is supported: PostgreSQL on Azure 19.\n")
	assert.NotContains(t, text.String(), "SUPPORT ENDS")
}

func TestUnit_OldReadingsAreTold(t *testing.T) {
	t.Parallel()
	at := func(on time.Time) string {
		var text bytes.Buffer
		r := versioned(t, on)
		require.NoError(t, r.WriteText(&text, false))
		return text.String()
	}
	read := date(time.August, 21) // of the older source
	assert.NotContains(t, at(read.AddDate(0, 0, support.MaxAge)), "read more than")
	for days, sources := range map[int]string{support.MaxAge + 1: "1 source", support.MaxAge + 2: "2 sources"} {
		assert.Contains(t, at(read.AddDate(0, 0, days)),
			sources+" of the dates of support: read more than 180 days ago, the oldest on 2026-08-21; "+
				"read them again (docs/OPERATIONS.md, Versions that end).\n")
	}
}

func TestUnit_WhatEndsIsInTheJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(versioned(t, date(time.December, 1)))
	require.NoError(t, err)
	var read changes.Report
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, versioned(t, date(time.December, 1)).Support, read.Support)
	assert.Contains(t, string(text), `"ends":"2026-12-31","expected":true,"days":30`)
}

func TestUnit_WhatARefreshFindsHasNoEnd(t *testing.T) {
	t.Parallel()
	found := step(apitype.OpSame, postgres, "pg", map[string]any{"version": "9"}, map[string]any{"version": "9"}, nil)
	c := changes.Collector{Refresh: true}
	c.See(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: found.ResourcePreEvent.Metadata}})
	r := changes.Report{Environment: "dev", Drift: true, Projects: []changes.Project{c.Project("gridos-infra", nil)}}
	require.NoError(t, r.CheckSupport(date(time.December, 1)))
	assert.Nil(t, r.Support)
}
