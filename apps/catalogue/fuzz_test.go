package catalogue

import (
	"cmp"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

// FuzzEntries: a catalogue that is accepted has only Applications that Argo CD can sync, from
// permitted sources into permitted namespaces; and it means the same when it is written again.
func FuzzEntries(f *testing.F) {
	for _, text := range []string{
		`[]`, `null`, `[{}]`,
		`[{"name":"reports","path":"applications/reports","revision":"v1","syncWave":3,"cascade":false,"ignoreDifferences":[],` +
			`"syncPolicy":{"selfHeal":false,"options":["ApplyOutOfSyncOnly=false","PruneLast=true"]},` +
			`"retry":{"limit":0,"backoff":{"duration":"1m","factor":3,"maxDuration":"2m"}},"health":{"wait":true,"timeout":"2m"}}]`,
		`[{"name":"prometheus","chart":{"repository":"https://mirror.example.com","values":{"server":{"retention":"2d"}}}}]`,
		`[{"name":"prometheus","enabled":false},{"name":"gridos-dev","chart":{"repository":"oci://r.example.com/c","name":"gridos","version":"1.2.3-rc.1"}}]`,
		`[{"name":"x","path":"p","namespace":"team","project":"platform","repositoryUrl":"git@github.com:o/r.git",` +
			`"ignoreDifferences":[{"group":"apps","kind":"Deployment","jsonPointers":["/spec/replicas"],"jqPathExpressions":[".spec"]}]}]`,
		`[{"name":"x","path":"p","retry":{"backoff":{"duration":"5m"}}}]`,
		`[{"name":"x","path":"p","retry":{"backoff":{"maxDuration":"1s"}}}]`,
		`[{"name":"x","path":"p","revision":"--upload-pack=x"},{"name":"y","path":"p","repositoryUrl":"-oProxyCommand=x@h:r"}]`,
		`[{"name":"a","path":"p","syncWave":9223372036854775807},{"name":"b","path":"p","syncWave":-9223372036854775808}]`,
		`[{"name":"a","path":"p\u0000q"},{"name":"b","path":"a/../.."},{"name":"c","path":"."}]`,
		`[{"name":"x","path":"p"},{"name":"x","path":"p"}] []`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, cascade bool) {
		read := func(text string) ([]Entry, []Application, error) {
			r := config.FromMap("p", "dev", map[string]string{"p:applications": text})
			entries := config.Decode(r, "applications", []Entry{})
			all, err := Of("dev", entries, Defaults{RepositoryURL: "https://git.example.com/gridos.git", Revision: "main", Cascade: cascade})
			r.Check("applications", err)
			return entries, all, r.Err()
		}
		entries, all, err := read(text)
		if err != nil {
			_, _, again := read(text)
			require.EqualError(t, again, err.Error(), "the same catalogue has the same mistakes")
			return
		}
		names := map[string]bool{}
		for _, a := range all {
			assert.False(t, names[a.Name], "%s is there twice", a.Name)
			names[a.Name] = true
			checkApplication(t, a)
		}
		assert.True(t, slices.IsSortedFunc(all, func(a, b Application) int {
			return cmp.Or(cmp.Compare(a.Wave, b.Wave), strings.Compare(a.Name, b.Name))
		}), "not by wave and name: %v", all)
		for _, e := range entries {
			assert.Equal(t, value(e.Enabled, true), names[e.Name], "%s is there exactly if it is enabled", e.Name)
		}

		written, err := json.Marshal(entries)
		require.NoError(t, err)
		_, again, err := read(string(written))
		require.NoError(t, err)
		wanted, err := json.Marshal(all) // an empty list means the same as none
		require.NoError(t, err)
		got, err := json.Marshal(again)
		require.NoError(t, err)
		assert.JSONEq(t, string(wanted), string(got))
		_, none, err := read(`[]`)
		require.NoError(t, err)
		assert.Len(t, none, 2, "what one stack says changes nothing of what is shipped")
	})
}

// kubernetesName is what Kubernetes takes as the name of an object and of a namespace.
var kubernetesName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

func checkApplication(t *testing.T, a Application) {
	t.Helper()
	assert.True(t, kubernetesName.MatchString(a.Name) && len(a.Name) <= 63, "%q", a.Name)
	assert.Contains(t, []string{naming.ProjectGridOS, naming.ProjectPlatform}, a.Project)
	if a.Project == naming.ProjectGridOS {
		assert.Contains(t, []string{"", naming.NamespaceGridOS}, a.Namespace)
	} else {
		assert.True(t, kubernetesName.MatchString(a.Namespace), "%q", a.Namespace)
		assert.NotContains(t, append(protected(), naming.NamespaceGridOS), a.Namespace, "%s takes what belongs to others", a.Name)
	}
	source := a.Spec.Source
	assert.NotEqual(t, source.Path == "", source.Chart == "", "a path or a chart")
	for _, text := range []string{source.RepoURL, source.TargetRevision} {
		assert.NotEmpty(t, text)
		assert.False(t, strings.HasPrefix(text, "-"), "git would take %q for an option", text)
		assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), "%q", text)
	}
	if source.Chart == "" {
		assert.False(t, path.IsAbs(source.Path) || strings.HasPrefix(path.Join(source.Path, "x"), ".."), "%q leaves the repository", source.Path)
		assert.False(t, strings.ContainsFunc(source.Path, unicode.IsControl), "%q", source.Path)
	} else {
		assert.Regexp(t, `^v?[0-9]+\.[0-9]+\.[0-9]+`, source.TargetRevision)
		assert.NotContains(t, source.RepoURL, "http://", "what is not encrypted can be given other charts on the way")
	}
	seen := map[string]bool{}
	for _, o := range a.Spec.SyncPolicy.SyncOptions {
		name, value, ok := strings.Cut(o, "=")
		assert.True(t, ok && value != "" && !seen[name], "%q of %q", o, a.Spec.SyncPolicy.SyncOptions)
		seen[name] = true
	}
	assert.True(t, seen["ApplyOutOfSyncOnly"], "a sync would reset what controllers own, and nobody has decided that")
	retry := a.Spec.SyncPolicy.Retry
	first, err := time.ParseDuration(retry.Backoff.Duration)
	require.NoError(t, err)
	longest, err := time.ParseDuration(retry.Backoff.MaxDuration)
	require.NoError(t, err)
	assert.True(t, retry.Limit >= 0 && retry.Backoff.Factor >= 1 && 0 < first && first <= longest, "%+v", retry)
	assert.GreaterOrEqual(t, a.Wait, time.Duration(0))
	for _, d := range a.Spec.IgnoreDifferences {
		assert.True(t, d.Kind != "" && len(d.JSONPointers)+len(d.JQPathExpressions) > 0, "%+v", d)
	}
}
