package support_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/support"
)

const small = `
sources:
  first: {what: a page, url: "https://a.example", read: 2026-01-01}
  second: {what: another, url: "https://b.example", read: 2026-03-01}
rows:
  - {what: Go, version: "1.26", ends: 2026-07-01, rule: r, source: first}
  - {what: mesh, version: asm-1-30, ends: 2026-06-30, expected: true, rule: n-2, source: second}
  - {what: chart a, version: 1.2.3, ends: no date published, rule: the newest, source: second}
`

func parse(t *testing.T, text string) support.Book {
	t.Helper()
	book, err := support.Parse([]byte(text))
	require.NoError(t, err)
	return book
}

func on(t *testing.T, day string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	require.NoError(t, err)
	return at
}

// The warning begins 90 days before the day, and the day itself is the first without support.
func TestUnit_AVersionEndsOnItsDay(t *testing.T) {
	t.Parallel()
	book := parse(t, small)
	version := []support.Named{{What: "Go", Version: "1.26.8"}}
	for day, left := range map[string]int{
		"2026-04-02": 90, "2026-06-30": 1, "2026-07-01": 0, "2026-07-02": -1, "2027-07-01": -365,
	} {
		found := book.Ending(version, on(t, day), support.Notice)
		require.Len(t, found, 1, day)
		assert.Equal(t, left, found[0].Days, day)
		assert.Equal(t, left <= 0, found[0].Ended(), day)
		assert.Equal(t, support.Ending{
			Named: version[0], Ends: "2026-07-01", Days: left, Rule: "r", Source: "https://a.example",
		}, found[0])
	}
	assert.Empty(t, book.Ending(version, on(t, "2026-04-01"), support.Notice), "91 days before")
	assert.Len(t, book.Ending(version, on(t, "2026-04-01"), 91), 1)
	// The day is one of UTC, whatever the hour and wherever the clock.
	late := time.Date(2026, 6, 30, 23, 59, 0, 0, time.UTC)
	assert.Equal(t, 1, book.Ending(version, late, support.Notice)[0].Days)
	assert.Equal(t, 0, book.Ending(version, late.Add(time.Minute).In(time.FixedZone("west", -8*3600)), support.Notice)[0].Days)
}

func TestUnit_OnlyWhatIsNamedEnds(t *testing.T) {
	t.Parallel()
	book := parse(t, small)
	named := []support.Named{
		{What: "Go", Version: "1.26"},
		{What: "mesh", Version: "asm-1-30"},
		{What: "chart a", Version: "1.2.3"},
		{What: "Go", Version: "1.260"},
		{What: "chart a", Version: "1.2.30"},
		{What: "mesh", Version: "1.26"},
	}
	found := book.Ending(named, on(t, "2026-07-01"), support.Notice)
	require.Len(t, found, 2, "what has no date does not end")
	assert.Equal(t, []string{"mesh", "Go"}, []string{found[0].What, found[1].What}, "the first to end is first")
	assert.True(t, found[0].Expected)
	assert.False(t, found[1].Expected)
	assert.Equal(t, named[3:], book.Unknown(named))
	assert.Empty(t, book.Ending(nil, on(t, "2026-07-01"), support.Notice))
}

func TestUnit_AReadingGetsOldAfter180Days(t *testing.T) {
	t.Parallel()
	book := parse(t, small)
	named := []support.Named{
		{What: "chart a", Version: "1.2.3"}, {What: "mesh", Version: "asm-1-30"}, {What: "Go", Version: "1.26"}, {What: "unknown", Version: "1"},
	}
	assert.Empty(t, book.Old(named, on(t, "2026-06-30")), "180 days after the first")
	first := book.Old(named, on(t, "2026-07-01"))
	require.Len(t, first, 1)
	assert.Equal(t, "2026-01-01", first[0].Read)
	all := book.Old(named, on(t, "2027-01-01"))
	require.Len(t, all, 2, "each source once")
	assert.Equal(t, "2026-01-01", all[0].Read)
	assert.Empty(t, book.Old(named[1:2], on(t, "2026-07-01")), "only sources of what is named count")
}

func TestUnit_MistakesInTheDatesAreAllNamed(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string]struct{ from, to, says string }{
		"no day":             {"ends: 2026-07-01", "ends: July 2026", `Go 1.26 ends "July 2026"; write a day`},
		"no end":             {"ends: 2026-07-01, ", "", `Go 1.26 ends ""`},
		"no rule":            {"rule: r, ", "", "row 1 (Go 1.26) lacks one of what, version and rule"},
		"no version":         {`version: "1.26", `, "", "row 1 (Go ) lacks"},
		"no what":            {`what: Go, `, "", "row 1 ( 1.26) lacks"},
		"no source":          {"rule: r, source: first", "rule: r, source: third", `Go 1.26 has the source "third", which is not under sources`},
		"an unused source":   {"rule: r, source: first", "rule: r, source: second", `no row has the source "first"`},
		"never read":         {", read: 2026-01-01", "", `the source "first" was read on ""`},
		"no address":         {`url: "https://a.example"`, `url: "http://a.example"`, `the source "first" lacks`},
		"nameless":           {"what: a page, ", "", `the source "first" lacks`},
		"two of one version": {"what: mesh, version: asm-1-30", "what: Go, version: 1.26.8", "Go 1.26.8 and Go 1.26 are rows of the same version"},
		"two lines":          {"what: mesh, version: asm-1-30", "what: Go, version: 1", "Go 1 and Go 1.26 are rows of the same version"},
		"expected, no date":  {"ends: 2026-06-30", "ends: no date published", "mesh asm-1-30 has no date that could be expected"},
		"an unknown key":     {"expected: true", "perhaps: true", "the dates of support cannot be read"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, small, edit.from)
			_, err := support.Parse([]byte(strings.Replace(small, edit.from, edit.to, 1)))
			require.ErrorContains(t, err, edit.says)
		})
	}
	_, err := support.Parse([]byte(strings.NewReplacer("ends: 2026-07-01", "ends: soon", "rule: n-2, ", "").Replace(small)))
	require.ErrorContains(t, err, `Go 1.26 ends "soon"`)
	require.ErrorContains(t, err, "row 2 (mesh asm-1-30) lacks")
}

func TestUnit_ResourcesNameVersions(t *testing.T) {
	t.Parallel()
	type in = map[string]any
	const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9" // sdk/go/common/resource/plugin, UnknownStringValue
	for token, test := range map[string]struct {
		inputs in
		named  []support.Named
	}{
		"azure-native:containerservice/v20240901:ManagedCluster": {
			in{"kubernetesVersion": "1.35", "serviceMeshProfile": in{"istio": in{"revisions": []any{"asm-1-29", "asm-1-30"}}}},
			[]support.Named{
				{What: "Azure API of containerservice", Version: "2024-09-01"},
				{What: "Kubernetes on AKS", Version: "1.35"},
				{What: "Istio add-on of AKS", Version: "asm-1-29"},
				{What: "Istio add-on of AKS", Version: "asm-1-30"},
			},
		},
		"azure-native:containerservice/v20240901:AgentPool": {
			in{"kubernetesVersion": "1.35"}, []support.Named{{What: "Azure API of containerservice", Version: "2024-09-01"}},
		},
		"azure-native:dbforpostgresql/v20240801:Server": {
			in{"version": "16"},
			[]support.Named{{What: "Azure API of dbforpostgresql", Version: "2024-08-01"}, {What: "PostgreSQL on Azure", Version: "16"}},
		},
		"azure-native:insights/v20210501preview:DiagnosticSetting": {
			nil, []support.Named{{What: "Azure API of insights", Version: "2021-05-01-preview"}},
		},
		"azure-native:network/v20240501:ApplicationGateway": {
			in{"sslCertificates": []any{in{}}},
			[]support.Named{{What: "Azure API of network", Version: "2024-05-01"}}, // a certificate is no version
		},
		"azure-native:keyvault:Secret": {in{"properties": in{"attributes": in{"expires": 1.0}}}, nil},
		"kubernetes:helm.sh/v3:Release": {
			in{"chart": "/tmp/charts/argo-cd-10.1.1.tgz", "version": "10.1.1"}, []support.Named{{What: "chart argo-cd", Version: "10.1.1"}},
		},
		"kubernetes:helm.sh/v4:Release": {
			in{"chart": "oci://registry.example/charts/argo-cd", "version": unknown}, nil,
		},
		"kubernetes:argoproj.io/v1alpha1:Application": {
			in{"spec": in{"source": in{"chart": "prometheus", "targetRevision": "29.27.0"}}}, []support.Named{{What: "chart prometheus", Version: "29.27.0"}},
		},
		"kubernetes:argoproj.io/v1beta1:Application": {in{"spec": in{"source": in{"path": "applications", "targetRevision": "main"}}}, nil},
		"pulumi:providers:random":                    {in{"version": "4.19.0"}, []support.Named{{What: "Pulumi plugin random", Version: "4.19.0"}}},
		"pulumi:pulumi:Stack":                        {in{"version": "1"}, nil},
		"random:index/randomPassword:RandomPassword": {in{"version": "1"}, nil},
		"": {in{"version": "1"}, nil},
	} {
		assert.Equal(t, test.named, support.Of(token, test.inputs), token)
	}
}

// What a page says of support is checked as it is loaded; which versions are named is tested in
// pipeline/internal/inventory.
func TestUnit_TheShippedDatesAreWithoutMistakes(t *testing.T) {
	t.Parallel()
	book, err := support.Shipped()
	require.NoError(t, err)
	assert.Greater(t, len(book.Rows), 30)
}

// A day is the first without support: a version that is supported to the end of a month ends on the
// first of the next.
func TestUnit_AMonthIsSupportedToItsLastDay(t *testing.T) {
	t.Parallel()
	book, err := support.Shipped()
	require.NoError(t, err)
	monthly := 0
	for _, row := range book.Rows {
		if strings.Contains(row.Rule, "to the end of ") {
			assert.True(t, strings.HasSuffix(row.Ends, "-01"), "%s %s ends on %s", row.What, row.Version, row.Ends)
			monthly++
		}
	}
	assert.GreaterOrEqual(t, monthly, 4)
}

func TestUnit_AnExpectedDayIsCalledSo(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "2027-01-01", support.Ending{Ends: "2027-01-01"}.When())
	assert.Equal(t, "2027-01-01, expected", support.Ending{Ends: "2027-01-01", Expected: true}.When())
}
