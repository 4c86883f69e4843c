package delivery_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout/gittest"
	"github.com/gridos/sharedinfra/pipeline/internal/delivery"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// TestMain gives git the configuration of a fresh machine, without that of the user who runs the
// tests.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "git-home-")
	if err == nil {
		config := filepath.Join(home, "config")
		// No process works in a test's folder after its command has ended.
		err = os.WriteFile(config, []byte("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"), 0o600)
		for key, value := range map[string]string{"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": "1", "HOME": home} {
			if err == nil {
				err = os.Setenv(key, value)
			}
		}
	}
	for _, key := range []string{"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"} {
		if err == nil {
			err = os.Unsetenv(key)
		}
	}
	code := 1
	if err == nil {
		code = m.Run()
		err = os.RemoveAll(home)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const kustomization = `resources:
- ../../base
images:
- name: gridosacr.azurecr.io/gridos
  newName: %sgridosacr.azurecr.io/gridos
  newTag: %s
`

// place is a repository that several push to: a bare one, the clone of a developer and that of a
// pipeline.
type place struct {
	t                      *testing.T
	bare, developer, clone string
	edits                  int    // how often the image was set
	during                 func() // happens each time before that
	log                    strings.Builder
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	output, err := command.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, output)
	return strings.TrimSpace(string(output))
}

// newPlace makes one whose branches main and develop have overlays without a release.
func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{t: t, bare: filepath.Join(dir, "bare"), developer: filepath.Join(dir, "developer"), clone: filepath.Join(dir, "clone")}
	git(t, dir, "init", "--quiet", "--bare", "--initial-branch=main", p.bare)
	git(t, dir, "clone", "--quiet", p.bare, p.developer)
	git(t, p.developer, "config", "user.name", "Developer")
	git(t, p.developer, "config", "user.email", "developer@gridos.invalid")
	git(t, p.developer, "checkout", "--quiet", "-b", "main")
	for _, environment := range []string{"dev", "test", "prod"} {
		p.write(overlay.File(environment), fmt.Sprintf(kustomization, environment, environment+"-0000000"))
		p.write(naming.Manifests(environment)+"/service.yaml", "port: 80\n")
	}
	p.commit("feat: begin", "src/main.go")
	git(t, p.developer, "push", "--quiet", "origin", "main", "main:develop")
	git(t, p.developer, "checkout", "--quiet", "-b", "develop")
	git(t, dir, "clone", "--quiet", p.bare, p.clone)
	return p
}

func (p *place) write(name, content string) {
	p.t.Helper()
	file := filepath.Join(p.developer, filepath.FromSlash(name))
	require.NoError(p.t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(p.t, os.WriteFile(file, []byte(content), 0o600))
}

// commit makes the developer change a file on the branch that they are on, and returns the commit.
func (p *place) commit(subject, file string) string {
	p.t.Helper()
	p.write(file, subject+"\n")
	git(p.t, p.developer, "add", ".")
	git(p.t, p.developer, "commit", "--quiet", "--allow-empty", "-m", subject)
	return git(p.t, p.developer, "rev-parse", "HEAD")
}

// push makes the developer push to a branch, even if others have pushed to it since.
func (p *place) push(branch string) {
	p.t.Helper()
	git(p.t, p.developer, "pull", "--quiet", "--rebase", "origin", branch)
	git(p.t, p.developer, "push", "--quiet", "origin", "HEAD:"+branch)
}

// released returns the hash, after it was built, of a commit on develop.
func (p *place) built(subject string) string {
	p.t.Helper()
	p.commit(subject, "src/main.go")
	p.push("develop")
	return git(p.t, p.developer, "rev-parse", "HEAD")
}

// set sets an image in an overlay on a branch, as another pipeline would.
func (p *place) set(branch string, image delivery.Target) {
	p.t.Helper()
	other := filepath.Join(p.t.TempDir(), "other")
	git(p.t, p.developer, "clone", "--quiet", "--branch", branch, p.bare, other)
	require.NoError(p.t, setImage(filepath.Join(other, filepath.FromSlash(naming.Overlay(image.Environment))), image.Image))
	git(p.t, other, "-c", "user.name=Other", "-c", "user.email=other@gridos.invalid", "commit", "--quiet", "-am", "other: "+image.Image.Tag)
	git(p.t, other, "push", "--quiet")
}

// setImage does to the file of an overlay what kustomize would do.
func setImage(dir string, image overlay.Image) error {
	file := filepath.Join(dir, "kustomization.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	content = regexp.MustCompile(`newName: .*`).ReplaceAll(content, []byte("newName: "+image.Repository))
	content = regexp.MustCompile(`\n  digest: .*`).ReplaceAll(content, nil)
	tag := "newTag: " + image.Tag
	if image.Digest != "" {
		tag += "\n  digest: " + image.Digest
	}
	content = regexp.MustCompile(`newTag: .*`).ReplaceAll(content, []byte(tag))
	return os.WriteFile(file, content, 0o600)
}

func (p *place) delivery() delivery.Delivery {
	p.t.Helper()
	c, err := checkout.Open(p.t.Context(), filepath.Join(p.clone, "src"))
	require.NoError(p.t, err)
	return delivery.Delivery{
		Checkout: c, Remote: "origin", Log: &p.log, Wait: &backoff.ZeroBackOff{},
		SetImage: func(_ context.Context, dir string, image overlay.Image) error {
			p.edits++
			if p.during != nil {
				p.during()
			}
			return setImage(dir, image)
		},
	}
}

func target(environment, commit string) delivery.Target {
	return delivery.Target{Environment: environment, Image: overlay.Image{
		Repository: environment + "gridosacr.azurecr.io/gridos", Tag: environment + "-" + commit[:7],
	}}
}

// Where images come from, in tests that are not about that.
var (
	fromDev  = delivery.Origin{Environment: "dev", Branch: "develop", Although: "this is a test"}
	fromTest = delivery.Origin{Environment: "test", Branch: "main", Although: "this is a test"}
)

func (p *place) log1(format, branch string) string {
	p.t.Helper()
	return git(p.t, p.bare, "log", "-1", "--format="+format, branch)
}

func (p *place) image(branch, environment string) string {
	p.t.Helper()
	image, err := overlay.Parse([]byte(git(p.t, p.bare, "show", branch+":"+overlay.File(environment))))
	require.NoError(p.t, err)
	return image.String()
}

func TestUnit_AReleaseThatOthersOvertakeStartsAgainFromWhatTheyPushed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := target("dev", p.built("feat: a widget"))
	p.during = func() {
		if p.edits <= 2 {
			p.commit(fmt.Sprint("docs: meanwhile ", p.edits), "README.md")
			p.push("develop")
		}
	}
	unsaved := filepath.Join(p.clone, "src", "main.go")
	require.NoError(t, os.WriteFile(unsaved, []byte("work in progress"), 0o600))
	before := git(t, p.clone, "rev-parse", "HEAD")

	released, err := p.delivery().Release(t.Context(), "develop", image)
	require.NoError(t, err)
	assert.Equal(t, 3, p.edits)
	assert.Equal(t, released.Commit, p.log1("%H", "develop"))
	assert.Equal(t, image.Image.String(), p.image("develop", "dev"))
	assert.Equal(t, "chore: update dev image to "+image.Image.Tag+"\ndocs: meanwhile 2\ndocs: meanwhile 1\nfeat: a widget\nfeat: begin",
		git(t, p.bare, "log", "--format=%s", "develop"), "nothing is lost, nothing is merged, and there is one commit of the release")
	assert.Equal(t, "github-actions[bot]", p.log1("%an", "develop"))
	assert.Equal(t, overlay.File("dev"), git(t, p.bare, "diff", "--name-only", "develop~", "develop"))
	for _, try := range []string{"Try 1 of 8", "Try 2 of 8"} {
		assert.Contains(t, p.log.String(), try+": branch develop of origin has changed meanwhile: [rejected]")
	}

	content, err := os.ReadFile(unsaved)
	require.NoError(t, err)
	assert.Equal(t, "work in progress", string(content))
	assert.Equal(t, before, git(t, p.clone, "rev-parse", "HEAD"))
	assert.Len(t, strings.Split(git(t, p.clone, "worktree", "list"), "\n"), 1)
}

func TestUnit_AReleaseTwiceIsOneCommit(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := target("dev", p.built("feat: a widget"))
	first, err := p.delivery().Release(t.Context(), "develop", image)
	require.NoError(t, err)
	second, err := p.delivery().Release(t.Context(), "develop", image)
	require.NoError(t, err)
	assert.Equal(t, delivery.Released{}, second)
	assert.Equal(t, first.Commit, p.log1("%H", "develop"))
	assert.Equal(t, 1, p.edits)
}

// Git does not show whether the release before was aborted, so each release says what follows if it
// was.
func TestUnit_AReleaseSaysWhatItIsOnTopOf(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, second := target("dev", p.built("feat: a widget")), target("dev", p.built("feat: another"))
	_, err := p.delivery().Release(t.Context(), "develop", first)
	require.NoError(t, err)
	released, err := p.delivery().Release(t.Context(), "develop", second)
	require.NoError(t, err)
	assert.Equal(t, first.Image, released.Replaced)
	assert.Contains(t, delivery.OnTopOf(released.Replaced), "revert the commit of "+first.Image.Tag+" before the next release")
}

func TestUnit_AnOlderReleaseDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	for name, shallow := range map[string]bool{"whole history": false, "of a shallow clone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			older, newer := target("dev", p.built("feat: first")), target("dev", p.built("feat: second"))
			if shallow {
				require.NoError(t, os.RemoveAll(p.clone))
				git(t, p.developer, "clone", "--quiet", "--depth=1", "--branch=develop", "file://"+p.bare, p.clone)
			}
			p.during = func() {
				if p.edits == 1 {
					p.set("develop", newer) // the newer pipeline gets there while the older one is about to push
				}
			}
			_, err := p.delivery().Release(t.Context(), "develop", older)
			superseded := (*delivery.SupersededError)(nil)
			require.ErrorAs(t, err, &superseded)
			require.ErrorContains(t, err, older.Image.Tag+" is older than "+newer.Image.Tag+", which branch develop has")
			assert.Equal(t, newer.Image.String(), p.image("develop", "dev"))
			assert.Equal(t, 1, p.edits)

			p.during = nil
			newest := target("dev", p.built("feat: third"))
			_, err = p.delivery().Release(t.Context(), "develop", newest)
			require.NoError(t, err)
			assert.Equal(t, newest.Image.String(), p.image("develop", "dev"))
		})
	}
}

func TestUnit_AReleaseThatIsAlwaysOvertakenGivesUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := target("dev", p.built("feat: a widget"))
	p.during = func() {
		p.commit(fmt.Sprint("docs: meanwhile ", p.edits), "README.md")
		p.push("develop")
	}
	_, err := p.delivery().Release(t.Context(), "develop", image)
	require.ErrorContains(t, err, "branch develop of origin could not be pushed to in 8 tries, because others pushed each time; run this again")
	assert.Equal(t, 8, p.edits)
	assert.Equal(t, "docs: meanwhile 8", p.log1("%s", "develop"))
}

func TestUnit_AProtectedBranchIsNotTriedTwice(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := target("dev", p.built("feat: a widget"))
	hook := filepath.Join(p.bare, "hooks", "pre-receive")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o700))
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\necho 'changes must be made through a pull request' >&2\nexit 1\n"), 0o700))
	_, err := p.delivery().Release(t.Context(), "develop", image)
	require.ErrorContains(t, err, "branch develop of origin cannot be pushed to; see whether its protection")
	require.ErrorContains(t, err, "changes must be made through a pull request")
	assert.Equal(t, 1, p.edits)
}

func TestUnit_WhatCannotBeReleasedSaysWhy(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := target("dev", p.built("feat: a widget"))
	d := p.delivery()
	_, err := d.Release(t.Context(), "develop", target("dev", "0123456789"))
	require.ErrorContains(t, err, "dev-0123456 cannot be placed in the history of origin")
	require.ErrorIs(t, err, checkout.ErrUnknown)
	_, err = d.Release(t.Context(), "develop", target("dev", "latest1"))
	require.ErrorContains(t, err, `the tag "dev-latest1" does not name a commit`)
	_, err = d.Release(t.Context(), "none", image)
	require.ErrorContains(t, err, "there is no branch none in origin; name another with --branch")
	d.Remote = "upstream"
	_, err = d.Release(t.Context(), "develop", image)
	require.ErrorContains(t, err, `has no remote "upstream"`)

	// A branch with the name of the commit does not count.
	git(t, p.developer, "push", "--quiet", "origin", "main:refs/heads/"+image.Image.Tag[4:])
	d.Remote = "origin"
	d.SetImage = func(context.Context, string, overlay.Image) error { return nil }
	_, err = d.Release(t.Context(), "develop", image)
	require.ErrorContains(t, err, "to devgridosacr.azurecr.io/gridos:dev-0000000 and not to "+image.Image.String())
	assert.Equal(t, "feat: a widget", p.log1("%s", "develop"))
}

func TestUnit_APromotionIsOnePullRequestThatIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old := p.built("feat: in test already")
	git(t, p.developer, "push", "--quiet", "origin", "develop:main")
	p.set("main", target("test", old))
	p.built("feat: say `hello` to @everybody")
	p.commit("docs: not in the image", "README.md")
	first, g := target("test", p.built("fix: first")), githubtest.Start(t)
	d, client := p.delivery(), g.Client(t)

	promoted, err := d.Promote(t.Context(), client, fromDev, "main", first)
	require.NoError(t, err)
	assert.Equal(t, "created", string(promoted.PullRequest.Action))
	require.Len(t, g.Pulls, 1)
	assert.Equal(t, "chore: promote dev-"+first.Image.Tag[5:]+" to test", g.Pulls[0].GetTitle())
	assert.Equal(t, "promote/test", g.Pulls[0].GetHead().GetRef())
	assert.Equal(t, "main", g.Pulls[0].GetBase().GetRef())
	body := g.Pulls[0].GetBody()
	assert.Contains(t, body, "- "+git(t, p.bare, "rev-parse", "develop")+" ` fix: first `\n")
	assert.Contains(t, body, "`` feat: say `hello` to @everybody ``", "it is shown as it is, and mentions nobody")
	assert.Contains(t, body, "> [!NOTE]\n> If the release of test-", "what follows if the version there was aborted")
	assert.NotContains(t, body, "not in the image")
	assert.NotContains(t, body, "in test already")
	assert.NotContains(t, body, "Not in it any more")
	assert.Equal(t, first.Image.String(), p.image("promote/test", "test"))
	assert.Equal(t, git(t, p.bare, "rev-parse", "main"), p.log1("%P", "promote/test"))

	// Again, after main has changed other files: neither the branch nor the pull request changes,
	// nor do its reviews and checks.
	tip := p.log1("%H", "promote/test")
	git(t, p.developer, "checkout", "--quiet", "-B", "main", "origin/main")
	p.commit("docs: on main", "docs.md")
	p.push("main")
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", first)
	require.NoError(t, err)
	assert.Equal(t, "unchanged", string(promoted.PullRequest.Action))
	assert.Equal(t, tip, p.log1("%H", "promote/test"))

	// A newer one replaces it on top of main, while a developer pushes to the branch.
	git(t, p.developer, "checkout", "--quiet", "develop")
	second := target("test", p.built("fix: second"))
	p.edits, p.during = 0, func() {
		if p.edits == 1 {
			p.set("promote/test", target("test", old))
		}
	}
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", second)
	require.NoError(t, err)
	assert.Equal(t, "updated", string(promoted.PullRequest.Action))
	assert.Contains(t, p.log.String(), "Try 1 of 8: branch promote/test of origin has changed meanwhile: [rejected] (stale info)")
	assert.Len(t, g.Pulls, 1)
	assert.Contains(t, g.Pulls[0].GetBody(), "fix: second")
	assert.Equal(t, second.Image.String(), p.image("promote/test", "test"))
	assert.Equal(t, git(t, p.bare, "rev-parse", "main"), p.log1("%P", "promote/test"))

	// The older one comes too late, as long as the newer one is proposed.
	_, err = d.Promote(t.Context(), client, fromDev, "main", first)
	require.ErrorContains(t, err, "which the pull request https://github.com/gridos/sharedinfra/pull/1 has")
	closed := "closed"
	g.Pulls[0].State = &closed
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", first)
	require.NoError(t, err)
	assert.Equal(t, 2, promoted.PullRequest.Number)

	// After the merge there is nothing left to do, and no older image can be promoted.
	git(t, p.bare, "update-ref", "refs/heads/main", "refs/heads/promote/test")
	git(t, p.bare, "update-ref", "-d", "refs/heads/promote/test")
	g.Pulls[1].State = &closed
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", first)
	require.NoError(t, err)
	assert.True(t, promoted.Already)
	_, err = d.Promote(t.Context(), client, fromDev, "main", target("test", old))
	require.ErrorContains(t, err, "which branch main has")
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", second)
	require.NoError(t, err)
	assert.Equal(t, 3, promoted.PullRequest.Number)
}

// files lists a folder on a branch.
func (p *place) files(branch, folder string) []string {
	p.t.Helper()
	return strings.Fields(git(p.t, p.bare, "ls-tree", "--name-only", branch+":"+folder))
}

func TestUnit_ManifestsReachOneEnvironmentAfterTheOther(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	image := p.built("feat: a widget")
	git(t, p.developer, "push", "--quiet", "origin", "develop:main")
	p.set("main", target("test", image))
	p.set("main", target("prod", image))
	git(t, p.developer, "checkout", "--quiet", "-B", "main", "origin/main")
	git(t, p.developer, "pull", "--quiet", "origin", "main")
	base, test, prod := naming.Manifests("dev"), naming.Manifests("test"), naming.Manifests("prod")
	git(t, p.developer, "mv", base+"/service.yaml", base+"/services.yaml")
	p.write(base+"/policy.yaml", "deny: all\n")
	p.commit("feat: a policy", base+"/routes.yaml")
	p.push("main")
	g := githubtest.Start(t)
	d, client := p.delivery(), g.Client(t)

	// The image is there already: the manifests alone are something to promote. To prod there is
	// nothing yet.
	promoted, err := d.Promote(t.Context(), client, fromTest, "main", target("prod", image))
	require.NoError(t, err)
	assert.True(t, promoted.Already)
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", target("test", image))
	require.NoError(t, err)
	require.False(t, promoted.Already)
	assert.Equal(t, []string{"policy.yaml", "routes.yaml", "services.yaml"}, p.files("promote/test", test), "what was renamed is gone")
	assert.Equal(t, []string{"service.yaml"}, p.files("promote/test", prod))
	for _, file := range []string{"policy.yaml", "routes.yaml", "service.yaml", "services.yaml"} {
		assert.Contains(t, g.Pulls[0].GetBody(), "- ` "+file+" `\n")
	}

	// Again: the pull request keeps its commit. When the base goes on, it gets another.
	tip := p.log1("%H", "promote/test")
	_, err = d.Promote(t.Context(), client, fromDev, "main", target("test", image))
	require.NoError(t, err)
	assert.Equal(t, tip, p.log1("%H", "promote/test"))
	p.commit("feat: another policy", base+"/policies.yaml")
	p.push("main")
	promoted, err = d.Promote(t.Context(), client, fromDev, "main", target("test", image))
	require.NoError(t, err)
	assert.Equal(t, "updated", string(promoted.PullRequest.Action))
	assert.Equal(t, []string{"policies.yaml", "policy.yaml", "routes.yaml", "services.yaml"}, p.files("promote/test", test))

	// Once it is merged, prod is next.
	git(t, p.bare, "update-ref", "refs/heads/main", "refs/heads/promote/test")
	promoted, err = d.Promote(t.Context(), client, fromTest, "main", target("prod", image))
	require.NoError(t, err)
	require.False(t, promoted.Already)
	assert.Equal(t, p.files("main", test), p.files("promote/prod", prod))
}

func TestUnit_OnlyWhatTheEnvironmentBeforeRunsIsPromoted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	never, image := p.built("feat: never released"), p.built("feat: a widget")
	p.set("develop", target("dev", image))
	g := githubtest.Start(t)
	d, client := p.delivery(), g.Client(t)
	d.Run = "octocat in https://github.com/gridos/sharedinfra/actions/runs/1"
	dev, test := delivery.Origin{Environment: "dev", Branch: "develop"}, delivery.Origin{Environment: "test", Branch: "main"}

	var notThere *delivery.NotThereError
	require.ErrorAs(t, d.Promotable(t.Context(), dev, target("test", never)), &notThere)
	require.NoError(t, d.Promotable(t.Context(), dev, target("test", image)))
	_, err := d.Promote(t.Context(), client, dev, "main", target("test", never))
	require.ErrorAs(t, err, &notThere)
	require.ErrorContains(t, err, "dev does not run dev-"+never[:7]+": on branch develop its overlay has dev-"+image[:7])
	_, err = d.Promote(t.Context(), client, test, "main", target("prod", image))
	require.ErrorAs(t, err, &notThere, "test has had no release, wherever the image was built")
	_, err = d.Promote(t.Context(), client, delivery.Origin{Environment: "dev", Branch: "none"}, "main", target("test", image))
	require.ErrorContains(t, err, "there is no branch none in origin, which should have the overlay of dev")
	assert.Empty(t, g.Pulls)

	_, err = d.Promote(t.Context(), client, dev, "main", target("test", image))
	require.NoError(t, err)
	assert.Contains(t, g.Pulls[0].GetBody(), "Asked for by "+d.Run)
	assert.Equal(t, "Promoted-by: "+d.Run, p.log1("%(trailers:key=Promoted-by)", "promote/test"))
	test.Although = "prod needs the fix and test is away"
	_, err = d.Promote(t.Context(), client, test, "main", target("prod", image))
	require.NoError(t, err)
	assert.Contains(t, g.Pulls[1].GetBody(), "because: ` "+test.Although+" `")
}

// setAt sets an image in an overlay on a branch as of a moment.
func (p *place) setAt(branch string, image delivery.Target, when time.Time) {
	p.t.Helper()
	p.set(branch, image)
	other := filepath.Join(p.t.TempDir(), "dated")
	git(p.t, p.developer, "clone", "--quiet", "--branch", branch, p.bare, other)
	command := exec.CommandContext(p.t.Context(), "git", "-c", "user.name=Other", "-c", "user.email=other@gridos.invalid",
		"commit", "--quiet", "--amend", "--no-edit", "--allow-empty")
	command.Dir, command.Env = other, append(os.Environ(), fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", when.Unix()))
	output, err := command.CombinedOutput()
	require.NoError(p.t, err, string(output))
	git(p.t, other, "push", "--quiet", "--force")
}

func TestUnit_AReleaseRunsForAWhileBeforeItIsPromoted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, second := p.built("feat: first"), p.built("feat: second")
	d := p.delivery()
	now := time.Now()
	refused := func(image delivery.Target, soak time.Duration) *delivery.TooSoonError {
		t.Helper()
		var soon *delivery.TooSoonError
		err := d.Promotable(t.Context(), delivery.Origin{Environment: "dev", Branch: "develop", Soak: soak}, image)
		if err != nil {
			require.ErrorAs(t, err, &soon)
		}
		return soon
	}
	p.setAt("develop", target("dev", first), now.Add(-3*time.Hour))
	assert.Nil(t, refused(target("test", first), 2*time.Hour))
	assert.Nil(t, refused(target("test", first), 0))
	soon := refused(target("test", first), 4*time.Hour)
	require.NotNil(t, soon)
	at := now.Add(-3 * time.Hour)
	assert.Equal(t, at.Unix(), soon.Since.Unix())
	require.ErrorContains(t, soon, "dev has dev-"+first[:7]+" since "+at.UTC().Format(time.RFC3339))
	require.ErrorContains(t, soon, "promote it after "+at.Add(4*time.Hour).UTC().Format(time.RFC3339)+", or, if it cannot wait, say why with --although")

	// A clock that is ahead elsewhere keeps no image that may be promoted at once.
	p.setAt("develop", target("dev", second), now.Add(time.Hour))
	assert.Nil(t, refused(target("test", second), 0))
	require.NotNil(t, refused(target("test", second), time.Second))
	p.setAt("develop", target("dev", first), now.Add(-3*time.Hour))

	// Another change of the same file is no new release.
	git(t, p.developer, "checkout", "--quiet", "develop")
	git(t, p.developer, "pull", "--quiet", "--rebase", "origin", "develop")
	text, err := os.ReadFile(filepath.Join(p.developer, filepath.FromSlash(overlay.File("dev"))))
	require.NoError(t, err)
	p.write(overlay.File("dev"), string(text)+"# a comment\n")
	p.commit("docs: a comment in the overlay", "docs.md")
	p.push("develop")
	assert.Nil(t, refused(target("test", first), 2*time.Hour))

	// For an image that comes back after another one, the time begins again.
	p.setAt("develop", target("dev", second), now.Add(-90*time.Minute))
	p.setAt("develop", target("dev", first), now.Add(-time.Hour))
	require.NotNil(t, refused(target("test", first), 2*time.Hour))
	assert.Nil(t, refused(target("test", first), 30*time.Minute))
	require.NoError(t, d.Promotable(t.Context(),
		delivery.Origin{Environment: "dev", Branch: "develop", Soak: 2 * time.Hour, Although: "dev is on fire"}, target("test", first)))
}

func TestUnit_TheSameBytesArePromoted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	commit := p.built("feat: a widget")
	dev, test, other := target("dev", commit), target("test", commit), target("test", commit)
	dev.Image.Digest, test.Image.Digest = "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("a", 64)
	other.Image.Digest = "sha256:" + strings.Repeat("b", 64)
	d, client := p.delivery(), githubtest.Start(t).Client(t)
	d.Run = "octocat in https://github.com/gridos/sharedinfra/actions/runs/1"
	_, err := d.Release(t.Context(), "develop", dev)
	require.NoError(t, err)
	assert.Equal(t, dev.Image.String(), p.image("develop", "dev"))
	assert.Contains(t, dev.Image.String(), ":dev-"+commit[:7]+"@sha256:aaaa")
	assert.Equal(t, "Released-by: "+d.Run, p.log1("%(trailers:key=Released-by)", "develop"))

	from := delivery.Origin{Environment: "dev", Branch: "develop"}
	var otherBytes *delivery.OtherBytesError
	_, err = d.Promote(t.Context(), client, from, "main", other)
	require.ErrorAs(t, err, &otherBytes)
	require.ErrorContains(t, err, "these are not the same bytes")
	_, err = d.Promote(t.Context(), client, from, "main", test)
	require.NoError(t, err)
	assert.Equal(t, test.Image.String(), p.image("promote/test", "test"))
}

func TestUnit_APromotionSaysWhatItTakesAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	hotfix := p.built("fix: only in test")
	p.set("main", target("test", hotfix))
	git(t, p.developer, "checkout", "--quiet", "-B", "feature", "origin/main")
	p.commit("feat: from main", "src/other.go")
	git(t, p.developer, "push", "--quiet", "origin", "feature")
	g := githubtest.Start(t)
	d := p.delivery()
	d.Log = io.Discard
	_, err := d.Promote(t.Context(), g.Client(t), fromDev, "main", target("test", git(t, p.bare, "rev-parse", "feature")))
	require.NoError(t, err)
	require.Len(t, g.Pulls, 1)
	assert.Regexp(t, `(?s)### New since .*feat: from main.*### Not in it any more.*`+hotfix+` .*only in test`, g.Pulls[0].GetBody())
	assert.NotContains(t, g.Pulls[0].GetBody(), "No commit changes", "each list has a commit")

	// prod has had no release.
	_, err = d.Promote(t.Context(), g.Client(t), fromTest, "main", target("prod", hotfix))
	require.NoError(t, err)
	require.Len(t, g.Pulls, 2)
	assert.Equal(t, "chore: promote test-"+hotfix[:7]+" to prod", g.Pulls[1].GetTitle())
	assert.Contains(t, g.Pulls[1].GetBody(), "`prod-0000000` now, which is of no commit of the repository")
}

// Each command of Git fails in turn, and then each request to GitHub: the delivery ends with that
// failure, and nothing is in the branch. Once all of them succeed, the same delivery takes place.
func TestUnit_EachFailureOfGitAndOfGitHubEndsADelivery(t *testing.T) {
	broken := gittest.Install(t)
	p := newPlace(t)
	first, second := p.built("feat: first"), p.built("feat: second")
	g := githubtest.Start(t)
	client := g.Client(t)
	d := p.delivery()
	promote := func(commit string) func() (any, error) {
		return func() (any, error) {
			return d.Promote(t.Context(), client, delivery.Origin{Environment: "dev", Branch: "develop"}, "main", target("test", commit))
		}
	}
	release := func(commit string) func() (any, error) {
		return func() (any, error) { return d.Release(t.Context(), "develop", target("dev", commit)) }
	}
	for _, one := range []struct {
		name string
		// begin is the first command that fails: those before it are as in an earlier row.
		begin int
		do    func() (any, error)
	}{
		{"a first release", 1, release(first)},
		{"a promotion", 1, promote(first)},
		{"a release on top", 7, release(second)},
		{"a promotion into the open pull request", 10, promote(second)},
		{"a promotion that is open already", 15, promote(second)},
		{"a promotion is possible", 1, func() (any, error) {
			return struct{}{}, d.Promotable(t.Context(), delivery.Origin{Environment: "dev", Branch: "develop"}, target("test", second))
		}},
	} {
		before := git(t, p.bare, "for-each-ref", "--format=%(objectname)")
		for n := one.begin; ; n++ {
			broken.FailAt(n)
			result, err := one.do()
			failed := broken.Failed()
			broken.FailAt(0)
			if !failed {
				require.NoError(t, err, one.name)
				break
			}
			require.ErrorContains(t, err, gittest.Said, "%s, command %d: %v", one.name, n, result)
			assert.Equal(t, before, git(t, p.bare, "for-each-ref", "--format=%(objectname)"), "%s, command %d", one.name, n)
		}
	}
	for n := 1; ; n++ {
		g.FailAt = n
		_, err := promote(second)()
		if g.FailAt > 0 {
			require.NoError(t, err)
			break
		}
		require.ErrorContains(t, err, githubtest.Said, "request %d", n)
	}
}

func TestUnit_EachFailureOfGitEndsAPromotionOfManifests(t *testing.T) {
	broken := gittest.Install(t)
	p := newPlace(t)
	image := p.built("feat: a widget")
	git(t, p.developer, "push", "--quiet", "origin", "develop:main")
	p.set("main", target("test", image))
	git(t, p.developer, "checkout", "--quiet", "-B", "main", "origin/main")
	git(t, p.developer, "pull", "--quiet", "origin", "main")
	p.commit("feat: a policy", naming.Manifests("dev")+"/routes.yaml")
	p.push("main")
	d, client := p.delivery(), githubtest.Start(t).Client(t)
	before := git(t, p.bare, "for-each-ref", "--format=%(objectname)")
	for n := 1; ; n++ {
		broken.FailAt(n)
		promoted, err := d.Promote(t.Context(), client, fromDev, "main", target("test", image))
		failed := broken.Failed()
		broken.FailAt(0)
		if !failed {
			require.NoError(t, err)
			assert.False(t, promoted.Already)
			assert.Contains(t, p.files("promote/test", naming.Manifests("test")), "routes.yaml")
			return
		}
		require.ErrorContains(t, err, gittest.Said, "command %d", n)
		assert.Equal(t, before, git(t, p.bare, "for-each-ref", "--format=%(objectname)"), "command %d", n)
	}
}
