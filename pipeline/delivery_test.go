package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// kustomize sets an image as the program of that name does: edit set image NAME=IMAGE.
const kustomize = `#!/bin/sh
if [ "$1" = version ]; then
	echo v5.8.1
	exit
fi
image=${4#*=}
cat >kustomization.yaml <<END
images:
- name: ${4%%=*}
  newName: ${image%:*}
  newTag: ${image##*:}
END
`

// clone is a repository that several push to, with the same commit on main and develop. The test
// is in a clone of it.
type clone struct {
	t    *testing.T
	bare string
}

func newClone(t *testing.T) *clone {
	t.Helper()
	dir := t.TempDir()
	c := &clone{t: t, bare: filepath.Join(dir, "bare")}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomize"), []byte(kustomize), 0o700))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	c.git("init", "--quiet", "--bare", "--initial-branch=main", c.bare)
	c.git("clone", "--quiet", c.bare, filepath.Join(dir, "clone"))
	t.Chdir(filepath.Join(dir, "clone"))
	files := map[string]string{"tools/kubernetes/go.mod": "module tools\n\nrequire sigs.k8s.io/kustomize/kustomize/v5 v5.8.1\n"}
	for _, environment := range naming.Environments() {
		files[overlay.File(environment)] = "images:\n- name: gridosacr.azurecr.io/gridos\n  newName: " + environment +
			"gridosacr.azurecr.io/gridos\n  newTag: " + environment + "-0000000\n"
		files[naming.Manifests(environment)+"/service.yaml"] = "port: 80\n"
	}
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	c.git("add", ".")
	c.git("-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "-m", "feat: begin")
	c.git("push", "--quiet", "origin", "HEAD:main", "HEAD:develop")
	return c
}

func (c *clone) git(args ...string) string {
	c.t.Helper()
	output, err := exec.CommandContext(c.t.Context(), "git", args...).CombinedOutput()
	require.NoError(c.t, err, "git %v: %s", args, output)
	return strings.TrimSpace(string(output))
}

// tag is that of the image in an environment's overlay on a branch.
func (c *clone) tag(branch, environment string) string {
	c.t.Helper()
	image, err := overlay.Parse([]byte(c.git("--git-dir", c.bare, "show", branch+":"+overlay.File(environment))))
	require.NoError(c.t, err)
	return image.Tag
}

// Unless another branch is named, dev is released on develop and the others on main, and a
// promotion finds the environment before there.
func TestUnit_EachEnvironmentHasItsBranch(t *testing.T) {
	c := newClone(t)
	built := c.git("rev-parse", "HEAD")[:7]
	to := func(environment string, command ...string) []string {
		return append(command, "--image", environment+"gridosacr.azurecr.io/gridos", "--tag", environment+"-"+built)
	}
	does := func(says string, args []string) {
		t.Helper()
		code, out, said := ran(t, args...)
		require.Zero(t, code, "%v: %s", args, said)
		assert.Contains(t, out, says)
		deafly(t, args...)
	}
	dev, prod := to("dev", "release", "--environment", "dev"), to("prod", "release", "--environment", "prod")
	deafly(t, dev...)
	assert.Equal(t, "dev-"+built, c.tag("develop", "dev"), "it is released, and the output alone is lost")
	assert.Equal(t, "dev-0000000", c.tag("main", "dev"))
	does("Nothing to do: branch develop has devgridosacr.azurecr.io/gridos:dev-"+built+" in dev already.", dev)
	code, out, said := ran(t, prod...)
	require.Zero(t, code, said)
	assert.Regexp(t, `^Pushed [0-9a-f]{40} to branch main: prod is to run prodgridosacr\.azurecr\.io/gridos:prod-`+built, out)
	assert.Equal(t, "prod-"+built, c.tag("main", "prod"))
	code, said = runs(t, append(prod, "--branch", "develop")...)
	require.Zero(t, code, said)
	assert.Equal(t, "prod-"+built, c.tag("develop", "prod"))

	check, promote := to("test", "promote", "--check", "--to", "test"), to("test", "promote", "--from", "dev", "--to", "test")
	does("test-"+built+" may be promoted to test.\n", check)
	code, said = runs(t, append(check, "--from-branch", "main")...)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "on branch main its overlay has dev-0000000")
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	code, out, said = ran(t, promote...)
	require.Zero(t, code, said)
	assert.Contains(t, out, "Pull request 1 created: https://")
	require.Len(t, g.Pulls, 1)
	assert.Equal(t, "main", g.Pulls[0].GetBase().GetRef())
	does("Pull request 1 unchanged: https://", promote)
	c.git("--git-dir", c.bare, "update-ref", "refs/heads/main", "refs/heads/promote/test")
	does("Nothing to do: branch main has testgridosacr.azurecr.io/gridos:test-"+built+", and the manifests of dev, in test already.", promote)
	does("prod-"+built+" may be promoted to prod.\n", to("prod", "promote", "--check", "--to", "prod"))

	for says, args := range map[string][]string{
		`nothing is promoted to "dev"; name one of test, prod with --to`: to("dev", "promote", "--to", "dev"),
		"--soak -1s is negative":                                       append(promote, "--soak", "-1s"),
		"test gets what dev has, not prod; leave --from out":           to("test", "promote", "--from", "prod", "--to", "test"),
		`--tag "prod-` + built + `" is no tag of the environment test`: to("prod", "promote", "--check", "--to", "test"),
	} {
		code, said := runs(t, args...)
		assert.Equal(t, cli.Mistake, code, said)
		assert.Contains(t, said, says)
	}
}
