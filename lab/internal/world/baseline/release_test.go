package baseline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func changelog(version, commit string) string {
	return fmt.Sprintf("# Changelog\n\n## Unreleased\n\n## [%s] - 2026-11-30\n\n- all\n\n## [0.0.1] - 2026-11-01\n\n"+
		"[0.0.1]: https://example.com/commit/%040d\n[%s]: https://example.com/commit/%s\n", version, 1, version, commit)
}

func TestUnit_TheLastReleaseIsTheNewestTagOfTheHistoryOrWhatTheChangelogNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	run := repositoryIn(t, root, false)
	head := func() string {
		output, err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "HEAD").Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(output))
	}
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, Changelog), []byte(text), 0o600))
	}
	commit := func() string {
		run("commit", "--quiet", "--allow-empty", "-m", "empty")
		return head()
	}
	found := func() Release {
		release, err := LastRelease(t.Context(), root)
		require.NoError(t, err)
		return release
	}
	first := commit()
	second := commit()
	write(changelog("0.1.0", first))
	assert.Equal(t, Release{"0.1.0", first}, found(), "no tag is there")
	assert.Equal(t, "0.1.0 ("+first[:7]+")", found().String())

	run("tag", "v0.9.0", second)
	run("tag", "other", second)
	assert.Equal(t, Release{"0.1.0", first}, found(), "a tag on the commit itself, and tags of other things, are no release before it")
	third := commit()
	assert.Equal(t, Release{"v0.9.0", second}, found(), "a tag comes before the changelog")
	run("tag", "-a", "-m", "ten", "v0.10.0-rc.1", third)
	fourth := commit()
	assert.Equal(t, Release{"v0.10.0-rc.1", third}, found(), "ten is more than nine, and a tag may have a message")
	run("tag", "v0.10.0", fourth)
	commit()
	assert.Equal(t, Release{"v0.10.0", fourth}, found(), "a release comes after its candidates")

	run("checkout", "--quiet", "-b", "maintenance", second)
	commit()
	assert.Equal(t, Release{"v0.9.0", second}, found(), "tags of other branches are not in the history")
	named, err := Named(t.Context(), root, "v0.10.0-rc.1")
	require.NoError(t, err)
	assert.Equal(t, Release{"v0.10.0-rc.1", third}, named)
	named, err = Named(t.Context(), root, third[:10])
	require.NoError(t, err)
	assert.Equal(t, third[:7], named.String())
	_, err = Named(t.Context(), root, "v3")
	require.ErrorContains(t, err, `there is no commit "v3" in this checkout; fetch it`)
}

func TestUnit_ARewrittenOrShallowHistoryIsSaid(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	run := repositoryIn(t, root, false)
	run("commit", "--quiet", "--allow-empty", "-m", "released")
	output, err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "HEAD").Output()
	require.NoError(t, err)
	commit := strings.TrimSpace(string(output))
	require.NoError(t, os.WriteFile(filepath.Join(root, Changelog), []byte(changelog("0.1.0", commit)), 0o600))
	run("add", Changelog)
	run("commit", "--quiet", "-m", "later")

	shallow := filepath.Join(t.TempDir(), "clone")
	run("clone", "--quiet", "--depth", "1", "file://"+root, shallow)
	_, err = LastRelease(t.Context(), shallow)
	var missing MissingError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "this checkout does not have 0.1.0 ("+commit[:7]+
		"); in a shallow clone, run git fetch --unshallow first, or name another commit", err.Error())

	for text, want := range map[string]string{
		"# Changelog\n\n## Unreleased\n":                                     "CHANGELOG.md has no release: no heading is like ## [1.0.0]",
		strings.Replace(changelog("2.0.0", commit), "[2.0.0]: ", "[2]: ", 1): "does not say which commit 2.0.0 is; add a line [2.0.0]: ",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, Changelog), []byte(text), 0o600))
		_, err = LastRelease(t.Context(), root)
		require.ErrorContains(t, err, want)
	}
	_, err = LastRelease(t.Context(), t.TempDir())
	require.Error(t, err)
}
