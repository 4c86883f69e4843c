package inventory_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/pipeline/internal/inventory"
)

const repository = "../../.."

func uses(t *testing.T) (support.Book, []inventory.Use) {
	t.Helper()
	book, err := support.Shipped()
	require.NoError(t, err)
	all, err := inventory.Uses(t.Context(), repository, book)
	require.NoError(t, err)
	return book, all
}

// Every version that an environment or a pin names has a row in docs/support-dates.yaml, and no row
// is of a version that none names.
func TestUnit_TheRowsAreOfTheVersionsThatAreNamed(t *testing.T) {
	t.Parallel()
	book, all := uses(t)
	require.Greater(t, len(all), 30)
	used := map[support.Row]bool{}
	for _, use := range all {
		row, ok := book.Find(use.Named)
		assert.True(t, ok, "%s %s, which %s names, has no row", use.What, use.Version, use.By)
		used[row] = true
	}
	for _, row := range book.Rows {
		assert.True(t, used[row], "nothing names %s %s; remove its row", row.What, row.Version)
	}
	actions, err := inventory.Actions(repository)
	require.NoError(t, err)
	assert.Greater(t, len(actions), 8)
	for pin := range book.Runtimes {
		assert.Contains(t, actions, pin, "no workflow uses it; remove its line from runtimes")
	}
	for _, folder := range book.Unwatched {
		assert.DirExists(t, filepath.Join(repository, "tools", folder), "unwatched")
	}
}

// What an environment names by its configuration is what its programs register, for each
// environment: the golden files have that.
func TestUnit_AnEnvironmentNamesWhatItRegisters(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		configured, err := inventory.Environment(t.Context(), repository, environment)
		require.NoError(t, err)
		var registered []support.Named
		for _, project := range []string{"infra", "bootstrap", "apps"} {
			text, err := os.ReadFile(filepath.Join(repository, project, "program", "testdata", environment+".yaml"))
			require.NoError(t, err)
			var resources []struct {
				Type    string         `yaml:"type"`
				Inputs  map[string]any `yaml:"inputs"`
				Options struct {
					Version string `yaml:"version"`
				} `yaml:"options"`
			}
			require.NoError(t, yaml.Unmarshal(text, &resources))
			for _, r := range resources {
				registered = append(registered, support.Of(r.Type, r.Inputs)...)
				registered = append(registered, support.Of(r.Type, map[string]any{"version": r.Options.Version})...) // of plugins
			}
		}
		registered = support.Distinct(registered)
		require.Greater(t, len(registered), 15, environment)
		assert.Subset(t, configured, registered, environment)
		for _, n := range configured { // an API is imported for all environments, and used by some
			if !strings.HasPrefix(n.What, "Azure API of ") {
				assert.Contains(t, registered, n, environment)
			}
		}
	}
}

func TestUnit_StackFilesDecideWhatIsNamed(t *testing.T) {
	t.Parallel()
	copied := t.TempDir()
	for _, project := range []string{"infra", "bootstrap", "apps"} {
		for _, name := range []string{"Pulumi.yaml", "Pulumi.test.yaml"} {
			text, err := os.ReadFile(filepath.Join(repository, project, name))
			require.NoError(t, err)
			if project == "infra" && name == "Pulumi.test.yaml" {
				text = append(text, "  gridos-infra:kubernetesVersion: \"1.36\"\n"...)
			}
			require.NoError(t, os.MkdirAll(filepath.Join(copied, project), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(copied, project, name), text, 0o600))
		}
	}
	named, err := inventory.Environment(t.Context(), copied, "test")
	require.NoError(t, err)
	assert.Contains(t, named, support.Named{What: support.Kubernetes, Version: "1.36"})
	assert.NotContains(t, named, support.Named{What: support.Kubernetes, Version: "1.35"})
	_, err = inventory.Environment(t.Context(), copied, "dev")
	require.ErrorContains(t, err, "no stack")
}

func TestUnit_AnActionWithoutARuntimeIsAnError(t *testing.T) {
	t.Parallel()
	_, err := inventory.Delivery(repository, nil)
	require.ErrorContains(t, err, "has no runtime of actions/checkout@v7; add what `using` is in its action.yml")
	require.ErrorContains(t, err, "pulumi/actions@")
}

// A pull request of Dependabot that moves an action within its major version changes no row, and an
// action that cannot be read is not left out.
func TestUnit_ActionsAreNamedByTheirMajorVersion(t *testing.T) {
	t.Parallel()
	const commit = "@0123456789012345678901234567890123456789"
	for what, test := range map[string]struct{ step, action, says string }{
		"a patch":         {"uses: actions/checkout" + commit + " # v7.0.9", "actions/checkout@v7", ""},
		"two numbers":     {"uses: azure/use-kubelogin" + commit + " # v1.3", "azure/use-kubelogin@v1", ""},
		"one number":      {"uses: actions/cache/restore" + commit + " # v5", "actions/cache/restore@v5", ""},
		"quoted":          {`uses: "actions/checkout` + commit + `" # v7.0.1`, "actions/checkout@v7", ""},
		"behind a name":   {"name: n\n        uses: pulumi/actions" + commit + " # v7.0.0", "pulumi/actions@v7", ""},
		"one of ours":     {"uses: ./.github/actions/setup", "", ""},
		"a tag":           {"uses: actions/checkout@v7", "", `one.yml, line 4: "actions/checkout@v7" has no commit`},
		"no version":      {"uses: actions/checkout" + commit, "", `one.yml, line 4: "actions/checkout` + commit + `" has no commit`},
		"another comment": {"uses: actions/checkout" + commit + " # main", "", "has no commit"},
		"a flow":          {"{uses: actions/checkout@v7}", "", "has no commit"},
		"an image":        {"uses: docker://alpine:3", "", "has no commit"},
		"no YAML":         {"uses: [", "", "one.yml: yaml"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			repository := t.TempDir()
			folder := filepath.Join(repository, ".github", "workflows")
			require.NoError(t, os.MkdirAll(folder, 0o700))
			text := "jobs:\n  one:\n    steps:\n      - " + test.step + "\n"
			require.NoError(t, os.WriteFile(filepath.Join(folder, "one.yml"), []byte(text), 0o600))
			actions, err := inventory.Actions(repository)
			if test.says != "" {
				require.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.action, strings.Join(actions, " "))
		})
	}
}

// Each file that a checkout may lack or have broken ends the search: a version that is not found
// would not be missed otherwise.
func TestUnit_EachFileWithVersionsIsNeeded(t *testing.T) {
	t.Parallel()
	book, err := support.Shipped()
	require.NoError(t, err)
	root, err := filepath.Abs(repository)
	require.NoError(t, err)
	for _, test := range []struct{ file, text, says string }{ // without a text there is no such file
		{"infra/Pulumi.yaml", "", "Pulumi.yaml"},
		{"infra/new.go", "no package", "new.go"},
		{"bootstrap/Pulumi.dev.yaml", "config:\n  gridos-bootstrap:nothing: 1\n", "gridos-bootstrap of dev cannot be deployed as it is configured"},
		{"apps/Pulumi.dev.yaml", "config:\n  gridos-apps:nothing: 1\n", "gridos-apps of dev cannot be deployed as it is configured"},
		{"go.mod", "", "go.mod"},
		{"src/go.mod", "module x\n\ngo 1.26.0\n", "src/go.mod has no toolchain; add one"},
		{"src/go.mod", "module (", "src/go.mod"},
		{"src/Dockerfile", "", "Dockerfile"},
		{"src/Dockerfile", "FROM scratch\n", "is not built from an image like golang:1.26-bookworm"},
		{".github/workflows/new.yml", "{", "new.yml"},
		{"tools", "", "tools"},
		{"tools/istio/go.mod", "", "tools/istio/go.mod"},
		{"tools/istio/go.mod", "module (", "tools/istio/go.mod"},
		{"tools/istio/go.mod", "module x\n\ngo 1.26.0\n", "tools/istio/go.mod does not pin istio; require its module there"},
	} {
		t.Run(test.file+" "+test.says, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// Folders on the way to the file are folders, and all else leads to what the checkout has.
			here := ""
			for _, part := range strings.Split(test.file, "/") {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, here), 0o700))
				entries, err := os.ReadDir(filepath.Join(root, here))
				if !errors.Is(err, fs.ErrNotExist) {
					require.NoError(t, err)
				}
				for _, entry := range entries {
					if entry.Name() != part {
						name := filepath.Join(here, entry.Name())
						require.NoError(t, os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
					}
				}
				here = filepath.Join(here, part)
			}
			if test.text != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o600))
			}
			found, err := inventory.Uses(t.Context(), dir, book)
			require.ErrorContains(t, err, test.says)
			assert.Empty(t, found)
		})
	}
}

const dates = `
sources: {s: {what: a page, url: "https://a.example", read: 2026-06-01}}
rows:
  - {what: Go, version: "1.26", ends: 2026-07-01, rule: until 1.28, source: s}
  - {what: mesh, version: asm-1-30, ends: 2026-09-01, expected: true, rule: n-2, source: s}
  - {what: tool etcd, version: "3.6", ends: 2026-07-01, rule: the last two, source: s}
`

func look(t *testing.T, day string, more ...inventory.Use) inventory.Check {
	t.Helper()
	book, err := support.Parse([]byte(dates))
	require.NoError(t, err)
	on, err := time.Parse(time.DateOnly, day)
	require.NoError(t, err)
	return inventory.Look(book, append([]inventory.Use{
		{Named: support.Named{What: "tool etcd", Version: "3.6.6"}, By: []string{inventory.InLab}},
		{Named: support.Named{What: "mesh", Version: "asm-1-30"}, By: []string{"dev", "prod"}},
		{Named: support.Named{What: "Go", Version: "1.26.8"}, By: []string{inventory.InDelivery}},
	}, more...), on)
}

func TestUnit_WhatIsFoundHasAStateOnEachDay(t *testing.T) {
	t.Parallel()
	for day, states := range map[string][]inventory.State{
		"2026-04-01": {},
		"2026-04-02": {inventory.Ending, inventory.Ending}, // 90 days
		"2026-06-02": {inventory.Ending, inventory.Ending},
		"2026-06-03": {inventory.Ending, inventory.Ending, inventory.Ending},
		"2026-06-30": {inventory.Ending, inventory.Ending, inventory.Ending},
		"2026-07-01": {inventory.Ended, inventory.Ending, inventory.Told},
		"2026-11-28": {inventory.Ended, inventory.Ended, inventory.Told},
		"2026-11-29": {inventory.Ended, inventory.Ended, inventory.Unknown, inventory.Told}, // 181 days after the reading
	} {
		check := look(t, day)
		got := []inventory.State{}
		for _, f := range check.Findings {
			got = append(got, f.State)
		}
		assert.Equal(t, states, got, day)
		assert.Equal(t, day, check.On)
	}
	assert.Equal(t, "All 3 versions are supported, as far as dates are published", look(t, "2026-04-01").Title())
	unknown := look(t, "2026-07-01", inventory.Use{Named: support.Named{What: "PostgreSQL", Version: "19"}, By: []string{"prod"}})
	assert.Equal(t, "Of 4 versions: 1 out of support, 1 not known, 1 to end within 90 days, 1 out of support in the lab alone",
		unknown.Title())
	shared := look(t, "2026-07-01", inventory.Use{Named: support.Named{What: "tool etcd", Version: "3.6.6"}, By: []string{"dev", inventory.InLab}})
	assert.Equal(t, 2, shared.Count(inventory.Ended), "what an environment names counts")
}

// The end of a tool that the lab alone has is in the title, and neither it nor the age of its
// source fails anything.
func TestUnit_WhatTheLabAloneHasIsTold(t *testing.T) {
	t.Parallel()
	book, err := support.Parse([]byte(`
sources:
  old: {what: a page, url: "https://a.example", read: 2020-01-01}
  new: {what: another, url: "https://b.example", read: 2026-06-01}
rows:
  - {what: tool etcd, version: "3.6", ends: 2026-07-01, rule: the last two, source: old}
  - {what: Go, version: "1.26", ends: no date published, rule: until 1.28, source: new}
`))
	require.NoError(t, err)
	etcd := inventory.Use{Named: support.Named{What: "tool etcd", Version: "3.6.6"}, By: []string{inventory.InLab}}
	compiler := inventory.Use{Named: support.Named{What: "Go", Version: "1.26.8"}, By: []string{inventory.InDelivery}}
	on := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	check := inventory.Look(book, []inventory.Use{etcd, compiler}, on)
	assert.Equal(t, "Of 2 versions: 1 out of support in the lab alone", check.Title())
	require.Len(t, check.Findings, 1)
	assert.Equal(t, inventory.Told, check.Findings[0].State)
	etcd.By = []string{"dev", inventory.InLab}
	check = inventory.Look(book, []inventory.Use{etcd, compiler}, on)
	assert.Equal(t, 1, check.Count(inventory.Unknown), "the source of an environment's version counts")
}

// Scripts read these names.
func TestUnit_ACheckIsJSON(t *testing.T) {
	t.Parallel()
	check := look(t, "2026-12-01", inventory.Use{Named: support.Named{What: "PostgreSQL", Version: "19"}, By: []string{"prod"}})
	text, err := json.Marshal(check)
	require.NoError(t, err)
	assert.JSONEq(t, `{"on": "2026-12-01", "versions": 4, "findings": [
		{"state": "ended", "what": "Go", "version": "1.26.8", "by": ["delivery"], "ends": "2026-07-01", "days": -153,
			"why": "until 1.28", "source": "https://a.example"},
		{"state": "ended", "what": "mesh", "version": "asm-1-30", "by": ["dev", "prod"], "ends": "2026-09-01", "expected": true,
			"days": -91, "why": "n-2", "source": "https://a.example"},
		{"state": "not known", "what": "PostgreSQL", "version": "19", "by": ["prod"], "days": 0,
			"why": "docs/support-dates.yaml has no row of it; add one"},
		{"state": "not known", "what": "a page", "days": 0,
			"why": "was read on 2026-06-01, more than 180 days ago; read it again", "source": "https://a.example"},
		{"state": "ended, in the lab alone", "what": "tool etcd", "version": "3.6.6", "by": ["lab"], "ends": "2026-07-01", "days": -153,
			"why": "the last two", "source": "https://a.example"}
	]}`, string(text))
}

func TestUnit_ACheckIsATableAndAnIssue(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	check := look(t, "2026-07-01", inventory.Use{Named: support.Named{What: "PostgreSQL", Version: "19"}, By: []string{"prod"}})
	require.NoError(t, check.WriteText(&table))
	lines := strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	assert.Equal(t, []string{
		"STATE OF VERSION NAMED BY ENDS DAYS LEFT WHY",
		"ended Go 1.26.8 delivery 2026-07-01 0 until 1.28",
		"not known PostgreSQL 19 prod docs/support-dates.yaml has no row of it; add one",
		"ends soon mesh asm-1-30 dev, prod 2026-09-01, expected 62 n-2",
		"ended, in the lab alone tool etcd 3.6.6 lab 2026-07-01 0 the last two",
		"Of 4 versions: 1 out of support, 1 not known, 1 to end within 90 days, 1 out of support in the lab alone, on 2026-07-01.",
	}, lines)
	assert.Equal(t, "docs/OPERATIONS.md (Versions that end) says what to do.\n\n"+
		"| state | of | version | named by | ends | why |\n|---|---|---|---|---|---|\n"+
		"| ended | Go | 1.26.8 | delivery | 2026-07-01 | until 1.28 ([source](https://a.example)) |\n"+
		"| not known | PostgreSQL | 19 | prod |  | docs/support-dates.yaml has no row of it; add one |\n"+
		"| ends soon | mesh | asm-1-30 | dev, prod | 2026-09-01, expected | n-2 ([source](https://a.example)) |\n"+
		"| ended, in the lab alone | tool etcd | 3.6.6 | lab | 2026-07-01 | the last two ([source](https://a.example)) |\n", check.Issue())
	var none strings.Builder
	require.NoError(t, look(t, "2026-04-01").WriteText(&none))
	assert.Equal(t, "All 3 versions are supported, as far as dates are published, on 2026-04-01.\n", none.String())
}

// The versions of several places are each told once, with all that name them.
func TestUnit_AVersionIsListedOnceWithAllThatNameIt(t *testing.T) {
	t.Parallel()
	_, all := uses(t)
	at := slices.IndexFunc(all, func(u inventory.Use) bool { return u.What == support.Kubernetes })
	require.GreaterOrEqual(t, at, 0)
	assert.Equal(t, naming.Environments(), all[at].By)
	assert.True(t, slices.ContainsFunc(all, func(u inventory.Use) bool {
		return u.What == support.Go && slices.Equal(u.By, []string{inventory.InDelivery})
	}))
}
