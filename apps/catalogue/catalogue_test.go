package catalogue

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/internal/valuekeys"
	"github.com/gridos/sharedinfra/internal/versions"
)

func defaults() Defaults {
	return Defaults{RepositoryURL: "https://git.example.com/gridos.git", Revision: "main", Cascade: true}
}

func of(t *testing.T, entries ...Entry) []Application {
	t.Helper()
	all, err := Of("dev", entries, defaults())
	require.NoError(t, err)
	return all
}

func applicationIn(t *testing.T, all []Application, name string) Application {
	t.Helper()
	i := slices.IndexFunc(all, func(a Application) bool { return a.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no %s", name)
	return all[i]
}

func TestUnit_EntriesAddToWhatIsShippedOrChangeIt(t *testing.T) {
	t.Parallel()
	yes, no, wave, limit := true, false, 3, 0
	all := of(t,
		Entry{
			Name: "reports", Path: "applications/reports", Revision: "v1", SyncWave: &wave, Cascade: &no,
			IgnoreDifferences: []application.IgnoreDifference{},
			SyncPolicy:        &SyncPolicy{SelfHeal: &no, Options: []string{"ApplyOutOfSyncOnly=false", "PruneLast=true"}},
			Retry:             &Retry{Limit: &limit, Backoff: &Backoff{Duration: "1m"}},
			Health:            &Health{Wait: &yes, Timeout: "2m"},
		},
		Entry{Name: "prometheus", Chart: &Chart{
			Repository: "https://mirror.example.com", Values: map[string]any{"server": map[string]any{"retention": "2d"}},
		}},
	)
	require.Len(t, all, 3)
	assert.Equal(t, []string{"prometheus", "gridos-dev", "reports"}, []string{all[0].Name, all[1].Name, all[2].Name}, "by wave")

	assert.Equal(t, Application{
		Name: "reports", Project: "gridos", Wave: 3, Wait: 2 * time.Minute,
		Spec: application.Spec{
			Source: application.Source{
				RepoURL: "https://git.example.com/gridos.git", TargetRevision: "v1", Path: "applications/reports",
			},
			SyncPolicy: application.SyncPolicy{
				Automated:   &application.Automated{Prune: true},
				SyncOptions: []string{"ApplyOutOfSyncOnly=false", "PruneLast=true"},
				Retry: application.Retry{Refresh: true, Backoff: application.Backoff{
					Duration: "1m", Factor: 2, MaxDuration: "3m",
				}},
			},
			IgnoreDifferences: []application.IgnoreDifference{},
		},
	}, applicationIn(t, all, "reports"))

	source := applicationIn(t, all, "prometheus").Spec.Source
	assert.Equal(t, "https://mirror.example.com", source.RepoURL)
	assert.Equal(t, versions.Prometheus.Version, source.TargetRevision, "what the entry does not set stays")
	server, ok := source.Helm.ValuesObject["server"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "2d", server["retention"])
	assert.Equal(t, "6GB", server["retentionSize"], "values are merged as Helm merges them")
}

// An entry may give values to a chart that has none, and none to one that has some.
func TestUnit_ValuesAreLaidOverThoseThatAreThere(t *testing.T) {
	t.Parallel()
	some := map[string]any{"a": map[string]any{"b": 1}, "c": 2}
	assert.Nil(t, laidOver(nil, nil))
	assert.Equal(t, some, laidOver(nil, some))
	assert.Equal(t, some, laidOver(some, nil))
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 1, "d": 3}, "c": 4},
		laidOver(some, map[string]any{"a": map[string]any{"d": 3}, "c": 4}))
	assert.Equal(t, map[string]any{"a": 5, "c": map[string]any{"e": 6}}, laidOver(some, map[string]any{"a": 5, "c": map[string]any{"e": 6}}))
	require.Error(t, CheckRevision(""))
}

// The options that an Application may have (Argo CD 3.4, docs/user-guide/sync-options.md).
func TestUnit_ArgoCDsSyncOptionsAreKnown(t *testing.T) {
	t.Parallel()
	no := false
	all := []string{
		"ApplyOutOfSyncOnly=true", "ClientSideApplyMigration=false", "CreateNamespace=true", "Delete=false", "FailOnSharedResource=true",
		"Force=true", "Prune=false", "PruneLast=true", "PrunePropagationPolicy=foreground", "Replace=true",
		"RespectIgnoreDifferences=true", "ServerSideApply=true", "SkipDryRunOnMissingResource=true", "Validate=false",
	}
	found := applicationIn(t, of(t, Entry{Name: "x", Path: "p", SyncPolicy: &SyncPolicy{Automated: &no, Options: all}}), "x")
	assert.Nil(t, found.Spec.SyncPolicy.Automated, "without prune and selfHeal, which are part of it, nothing contradicts it")
	for _, option := range all {
		assert.Contains(t, found.Spec.SyncPolicy.SyncOptions, option)
	}
}

func TestUnit_AnUpdateWaitsForHealthTenMinutesIfNotToldHowLong(t *testing.T) {
	t.Parallel()
	yes := true
	all := of(t, Entry{Name: "patient", Path: "p", Health: &Health{Wait: &yes}}, Entry{Name: "hasty", Path: "p"},
		Entry{Name: "silent", Path: "p", Health: &Health{}, SyncPolicy: &SyncPolicy{SelfHeal: &yes, Prune: &yes}}) // automated by default
	assert.Equal(t, 10*time.Minute, applicationIn(t, all, "patient").Wait)
	assert.Zero(t, applicationIn(t, all, "hasty").Wait)
	assert.Zero(t, applicationIn(t, all, "silent").Wait)
}

func TestUnit_AnEntryCanLeaveAShippedOneOutAndTurnAPathIntoAChart(t *testing.T) {
	t.Parallel()
	no := false
	all := of(t,
		Entry{Name: "prometheus", Enabled: &no},
		Entry{Name: "gridos-dev", Chart: &Chart{Repository: "oci://registry.example.com/charts", Name: "gridos", Version: "1.2.3-rc.1"}},
	)
	require.Len(t, all, 1)
	assert.Equal(t, application.Source{
		RepoURL: "registry.example.com/charts", Chart: "gridos", TargetRevision: "1.2.3-rc.1",
	}, all[0].Spec.Source, "with the scheme Argo CD would ignore the chart")
}

func TestUnit_AnEntryCanTurnAChartIntoAPathOrKeepIt(t *testing.T) {
	t.Parallel()
	no := false
	found := applicationIn(t, of(t, Entry{Name: "prometheus", Path: "platform/prometheus"}), "prometheus")
	assert.Equal(t, application.Source{
		RepoURL: "https://git.example.com/gridos.git", TargetRevision: "main", Path: "platform/prometheus",
	}, found.Spec.Source)
	found = applicationIn(t, of(t, Entry{Name: "prometheus", SyncPolicy: &SyncPolicy{Prune: &no}}), "prometheus")
	assert.Equal(t, "prometheus", found.Spec.Source.Chart, "what the entry does not set stays")
	found = applicationIn(t, of(t, Entry{Name: "gridos-dev", SyncPolicy: &SyncPolicy{Prune: &no}}), "gridos-dev")
	assert.Equal(t, "applications/gridos/overlays/dev", found.Spec.Source.Path, "what the entry does not set stays")
	_, err := Of("dev", []Entry{{Name: "prometheus", Path: "p", Chart: &Chart{Version: "1.2.3"}}}, defaults())
	require.ErrorContains(t, err, `"prometheus": `)
}

// What workloads there could do, the platform or the cluster would do.
func TestUnit_NoEntryReachesTheNamespacesOfThePlatform(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{
		"default", "kube-system", "kube-public", "kube-node-lease", "gatekeeper-system", "aks-istio-system", "aks-istio-ingress",
		"argocd", "argo-rollouts", "external-secrets",
	} {
		_, err := Of("dev", []Entry{{Name: "x", Path: "p", Project: "platform", Namespace: namespace}}, defaults())
		require.ErrorContains(t, err, `namespace "`+namespace+`" belongs to`)
	}
}

func TestUnit_MistakesNameTheEntryAndAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()
	yes, no, negative, zero := true, false, -1, 0
	chart := func(version string) *Chart {
		return &Chart{Repository: "https://charts.example.com", Name: "some", Version: version}
	}
	for name, test := range map[string]struct {
		entry Entry
		want  []string
	}{
		"no name":      {Entry{Path: "p"}, []string{`an entry without a name: name "" cannot be the name`}},
		"no label":     {Entry{Name: "Some_App", Path: "p"}, []string{`"Some_App": name "Some_App" cannot be the name`}},
		"long":         {Entry{Name: strings.Repeat("a", 64), Path: "p"}, []string{"1 to 63"}},
		"no source":    {Entry{Name: "x"}, []string{`"x": has neither path nor chart`}},
		"two sources":  {Entry{Name: "x", Path: "p", Chart: chart("1.2.3")}, []string{`"x": has a path and a chart`}},
		"up":           {Entry{Name: "x", Path: "applications/../../etc"}, []string{`"x": path "applications/../../etc" leaves the repository`}},
		"absolute":     {Entry{Name: "x", Path: "/etc"}, []string{`path "/etc" leaves the repository`}},
		"backslash":    {Entry{Name: "x", Path: `a\..\b`}, []string{`leaves the repository`}},
		"unclean":      {Entry{Name: "x", Path: "a//b/"}, []string{`path "a//b/" is not written plainly; write it like a/b`}},
		"unseen":       {Entry{Name: "x", Path: "a\x01b"}, []string{`path "a\x01b" has characters that cannot be seen`}},
		"option":       {Entry{Name: "x", Path: "p", Revision: "-x"}, []string{`revision "-x" is not a branch`}},
		"unseen tag":   {Entry{Name: "x", Path: "p", Revision: "a\x01b"}, []string{`revision "a\x01b" is not a branch`}},
		"ancestor":     {Entry{Name: "x", Path: "p", Revision: "main~1"}, []string{`revision "main~1" is not a branch`}},
		"project":      {Entry{Name: "x", Path: "p", Namespace: "n", Project: "default"}, []string{`project "default" is not known; use one of gridos, platform`}},
		"no namespace": {Entry{Name: "x", Path: "p", Project: "platform"}, []string{`"x": has no namespace`}},
		"anywhere":     {Entry{Name: "x", Path: "p", Namespace: "*"}, []string{`namespace "*" is a pattern`}},
		"pattern":      {Entry{Name: "x", Path: "p", Namespace: "team-*"}, []string{`namespace "team-*" is a pattern`}},
		"no such name": {Entry{Name: "x", Path: "p", Namespace: "A"}, []string{`namespace "A" cannot be the name of a namespace`}},
		"kube-system":  {Entry{Name: "x", Path: "p", Namespace: "kube-system"}, []string{`namespace "kube-system" belongs to the cluster`}},
		"argocd":       {Entry{Name: "x", Path: "p", Namespace: "argocd"}, []string{`namespace "argocd" belongs to`}},
		"not gridos'":  {Entry{Name: "x", Path: "p", Namespace: "n"}, []string{`"x": namespace "n" is none that the AppProject gridos permits`}},
		"gridos'":      {Entry{Name: "x", Path: "p", Namespace: "gridos", Project: "platform"}, []string{`AppProject platform permits as destination; use the project gridos`}},
		"password":     {Entry{Name: "x", Path: "p", RepositoryURL: "https://a:b@h/r"}, []string{"repositoryUrl has a password or token in the address"}},
		"head":         {Entry{Name: "x", Path: "p", Revision: "HEAD"}, []string{"revision HEAD is the default branch"}},
		"range":        {Entry{Name: "x", Chart: chart("^1.2.0")}, []string{`chart.version "^1.2.0" is not one exact version`}},
		"wildcard":     {Entry{Name: "x", Chart: chart("1.2.*")}, []string{`chart.version "1.2.*"`}},
		"partial":      {Entry{Name: "x", Chart: chart("1.2")}, []string{`chart.version "1.2"`}},
		"chart's key": {
			Entry{Name: "x", Chart: &Chart{Repository: "https://a:b@h", Name: "x", Version: "1.2.3"}},
			[]string{"chart.repository has a password or token"},
		},
		"any version": {Entry{Name: "x", Chart: chart("")}, []string{`chart.version ""`}},
		"chart": {
			Entry{Name: "x", Revision: "main", Chart: &Chart{Repository: "http://charts.example.com", Name: "../x", Version: "1.2.3"}},
			[]string{`chart.repository "http://charts.example.com"`, `chart.name "../x"`, "repositoryUrl or revision, which belong to a path"},
		},
		"repository": {
			Entry{Name: "x", Path: "p", RepositoryURL: "gridos/x", Revision: "a b"},
			[]string{`repositoryUrl "gridos/x" is not the address`, `revision "a b" is not a branch`},
		},
		"by hand": {
			Entry{Name: "x", Path: "p", SyncPolicy: &SyncPolicy{Automated: &no, SelfHeal: &yes, Prune: &yes}},
			[]string{"syncPolicy.selfHeal is part of an automated sync", "syncPolicy.prune is part of"},
		},
		"options": {
			Entry{Name: "x", Path: "p", SyncPolicy: &SyncPolicy{Options: []string{"CreateNamespace", "Purge=true", "Prune=false", "Prune=true"}}},
			[]string{`has "CreateNamespace"; write`, `"Purge=true", which Argo CD does not know`, "has Prune twice"},
		},
		"retry": {
			Entry{Name: "x", Path: "p", Retry: &Retry{Limit: &negative, Backoff: &Backoff{Duration: "5", Factor: &zero, MaxDuration: "-3m"}}},
			[]string{"retry.limit is -1", `retry.backoff.duration "5"`, "retry.backoff.factor is 0", `retry.backoff.maxDuration "-3m"`},
		},
		"no backoff": {
			Entry{Name: "x", Path: "p", Retry: &Retry{Backoff: &Backoff{Duration: "0s"}}},
			[]string{`retry.backoff.duration "0s" is not a duration above 0`},
		},
		"no end": {
			Entry{Name: "x", Path: "p", Retry: &Retry{Backoff: &Backoff{Duration: "5m", MaxDuration: "never"}}},
			[]string{`retry.backoff.maxDuration "never" is not a duration above 0`},
		},
		"no begin": {
			Entry{Name: "x", Path: "p", Retry: &Retry{Backoff: &Backoff{Duration: "never", MaxDuration: "1s"}}},
			[]string{`retry.backoff.duration "never" is not a duration above 0`},
		},
		"backoff": {
			Entry{Name: "x", Path: "p", Retry: &Retry{Backoff: &Backoff{Duration: "5m", MaxDuration: "1m"}}},
			[]string{"retry.backoff.duration 5m0s is above maxDuration 1m0s"},
		},
		"ignored": {
			Entry{Name: "x", Path: "p", IgnoreDifferences: []application.IgnoreDifference{
				{}, {Kind: "Rollout", JSONPointers: []string{"spec"}}, {Kind: "Rollout", JQPathExpressions: []string{"spec"}},
			}},
			[]string{"an element without a kind", "names no field", `jsonPointer "spec"`, `jqPathExpression "spec"`},
		},
		"health":  {Entry{Name: "x", Path: "p", Health: &Health{Wait: &yes, Timeout: "soon"}}, []string{`health.timeout "soon" is not a duration`}},
		"no wait": {Entry{Name: "x", Path: "p", Health: &Health{Timeout: "5m"}}, []string{"health.timeout is of no use without health.wait"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Another entry with a mistake, and one that is there twice, must be reported beside it.
			_, err := Of("dev", []Entry{test.entry, {Name: "other"}, {Name: "twin", Path: "p"}, {Name: "twin", Path: "p"}}, defaults())
			require.Error(t, err)
			for _, want := range append(test.want, `"other": has neither path nor chart`, `"twin" is there twice`) {
				require.ErrorContains(t, err, want)
			}
			assert.Len(t, strings.Split(err.Error(), "\n"), len(test.want)+2)
		})
	}
}

// Helm ignores a value whose key the chart does not have.
func TestUnit_TheChartKnowsEveryValue(t *testing.T) {
	t.Parallel()
	keys := "testdata/prometheus-" + versions.Prometheus.Version + ".keys.txt"
	values, err := prometheus()
	require.NoError(t, err)
	unknown, err := valuekeys.Unknown(values, keys)
	require.NoError(t, err)
	assert.Empty(t, unknown)
	sending, err := SendingMetrics(map[string]any{}, "dev", MetricsWriter{})
	require.NoError(t, err)
	unknown, err = valuekeys.Unknown(sending, keys)
	require.NoError(t, err)
	assert.Empty(t, unknown)
	unknown, err = valuekeys.Unknown(map[string]any{"server": map[string]any{"retentoin": "1d", "retention": "1d"}}, keys)
	require.NoError(t, err)
	assert.Equal(t, []string{"server.retentoin"}, unknown, "a mistake is seen")
}
