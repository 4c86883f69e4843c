package upgrade_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	offline "github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/lab/proofs/upgrade"
	"github.com/gridos/sharedinfra/stacks"
)

// good is an upgrade that an environment may be given.
func good(projects ...upgrade.Project) upgrade.Report {
	return upgrade.Report{Environment: "dev", From: "1.0.0", Projects: projects, Requests: upgrade.Least}
}

func TestUnit_AnUpgradeIsRefusedForEachRequestThatFailsAndForWhatIsLeftToDo(t *testing.T) {
	t.Parallel()
	require.NoError(t, good().Verdict())
	for want, spoil := range map[string]func(r *upgrade.Report){
		"1 of the users' 5000 requests failed, and none should": func(r *upgrade.Report) { r.Failed = 1 },
		"users made only 4999 requests, and 5000 are needed":    func(r *upgrade.Report) { r.Requests-- },
		"a second up has changes, and should have none: gridos-infra: 2 updated": func(r *upgrade.Report) {
			r.Again = []string{"gridos-infra: 2 updated"}
		},
		"gridos-apps: the engine counts 2 replaced resources, and its events name 0": func(r *upgrade.Report) {
			r.Projects = []upgrade.Project{{Name: "gridos-apps", Replaced: 2}}
		},
	} {
		spoilt := good()
		spoil(&spoilt)
		require.ErrorContains(t, spoilt.Verdict(), want)
		assert.NotContains(t, spoilt.Verdict().Error(), "\n", "it is refused for this alone")
	}
}

func TestUnit_OnlyNewEntriesUnderReplacesAnnounce(t *testing.T) {
	t.Parallel()
	const earlier = "## Unreleased\n\n### Replaces\n\n- The update replaces `old`, once.\n"
	const now = "# Changelog\n\n## Unreleased\n\n### Replaces\n\n" +
		"- dev: the update replaces `cluster` and\n  `user-\n  pool`.\n\n  ```sh\n  pulumi `up`\n  ```\n- No name.\n\n" +
		"### Added\n\n- The key `vault`.\n\n## [1.0.0] - 2026-11-30\n\n### Replaces\n\n- The update replaces `old`,\n  once.\n"
	names := upgrade.Announced(earlier, now)
	assert.Contains(t, names, "cluster")
	for _, name := range []string{"old", "vault", "pool", "No name."} {
		assert.NotContains(t, names, name)
	}
	assert.Empty(t, upgrade.Announced(now, now))
	assert.Contains(t, upgrade.Announced("", earlier), "old")
}

// passwords is a program with a password that a change of its length replaces, as each change of a
// random value does, and a second password that another program leaves out.
func passwords(length int, names ...string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := random.NewProvider(ctx, "random", &random.ProviderArgs{})
		if err != nil {
			return err
		}
		for _, name := range names {
			_, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{Length: pulumi.Int(length)}, pulumi.Provider(provider))
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// The real engine updates a project, and what its events tell is judged.
func TestEngine_AnUpgradeThatReplacesIsRefusedUnlessItIsAnnounced(t *testing.T) {
	e := newEngine(t)
	update := func(program pulumi.RunFunc, announced ...string) upgrade.Report {
		e.StandIn(stacks.Infra, program)
		result, made, err := e.UpdateOne(t.Context(), stacks.Infra, nil)
		require.NoError(t, err)
		return good(upgrade.ProjectOf(result, made, announced))
	}
	created := update(passwords(16, "password", "other"))
	require.NoError(t, created.Verdict())
	assert.Equal(t, 4, created.Projects[0].Created, "two passwords, their provider and the stack")

	replaced := update(passwords(20, "password", "other"))
	require.ErrorContains(t, replaced.Verdict(), "gridos-infra: the update would replace password because of length, and no new entry "+
		"under Replaces in CHANGELOG.md has `password`; avoid it, or announce it")
	require.ErrorContains(t, replaced.Verdict(), "replace other because of length")
	assert.Equal(t, 2, replaced.Projects[0].Replaced)
	assert.Zero(t, replaced.Projects[0].Created)

	announced := update(passwords(24, "password", "other"), "password")
	assert.NotContains(t, announced.Verdict().Error(), "`password`")
	require.ErrorContains(t, announced.Verdict(), "replace other")
	require.NoError(t, update(passwords(28, "password", "other"), "password", "other").Verdict())

	// The engine deletes one and creates the other, which is a loss as well.
	renamed := update(passwords(28, "password", "another"))
	require.ErrorContains(t, renamed.Verdict(), "replace another")

	same := update(passwords(28, "password", "another"))
	require.NoError(t, same.Verdict())
	assert.Equal(t, upgrade.Project{Name: "gridos-infra", Seconds: same.Projects[0].Seconds}, same.Projects[0])
}

// newEngine returns an engine over this repository's files, with random values alone.
func newEngine(t *testing.T) *engine.Engine {
	t.Helper()
	root, err := filepath.Abs(strings.Repeat("../", 3))
	require.NoError(t, err)
	s := site.Site{Repository: root, Environment: "dev", Dir: t.TempDir()}
	require.NoError(t, s.Prepare())
	paths, err := (&toolchain.Resolver{ToolsDir: s.ToolsDir()}).Resolve(t.Context(), toolchain.Pulumi)
	require.NoError(t, err)
	server, err := providers.Serve(t.Context(), offline.New())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	e, err := engine.New(s, site.Record{RandomPort: server.Port, Tools: paths.Dirs()}, progress.New(io.Discard))
	require.NoError(t, err)
	return e
}
