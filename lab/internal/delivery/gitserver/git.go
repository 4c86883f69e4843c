package gitserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// git runs the git binary isolated from the user of the lab: without the user's configuration,
// hooks, templates, credentials and proxies, and without the variables of a git process that may
// have started the lab.
type git struct {
	path string
	home string // git writes here instead of into the user's home
	// header is sent with each request, if it is set.
	header string
}

// author is the author of the commits. Its domain is reserved, so it has no owner (RFC 2606).
const (
	authorName  = "GridOS lab"
	authorEmail = "lab@gridos.invalid"
)

func findGit(ctx context.Context, home string) (git, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return git{}, fmt.Errorf("there is no git on PATH (%w); install git", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return git{}, fmt.Errorf("make a home for git: %w", err)
	}
	g := git{path: path, home: home}
	said, err := g.run(ctx, home, nil, "version")
	if err != nil {
		return git{}, err
	}
	return g, checkVersion(said)
}

// oldest is the first Git that reads GIT_CONFIG_COUNT (its release notes, 2.31.0): an older one
// would push without a password.
const oldest = "v2.31.0"

var numbered = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// checkVersion returns an error if the output of git version names an older one. It accepts an
// output without a number.
func checkVersion(said string) error {
	found := numbered.FindString(said)
	if found == "" || semver.Compare("v"+found, oldest) >= 0 {
		return nil
	}
	return fmt.Errorf("git %s is too old for the lab; install %s or newer", found, strings.TrimPrefix(oldest, "v"))
}

// authorized returns a git that sends a name and a password to its server. They are in the
// environment, because every user of the machine can read arguments, and git would keep a URL in
// the clone's configuration.
func (g git) authorized(user, password string) git {
	g.header = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return g
}

func (g git) environment() []string {
	variables := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.home, "XDG_CONFIG_HOME=" + g.home, "TMPDIR=" + os.TempDir(), "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "GIT_EDITOR=true",
		"GIT_AUTHOR_NAME=" + authorName, "GIT_AUTHOR_EMAIL=" + authorEmail,
		"GIT_COMMITTER_NAME=" + authorName, "GIT_COMMITTER_EMAIL=" + authorEmail,
	}
	settings := [][2]string{
		// No process may run in the background after a command has ended.
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"core.hooksPath", os.DevNull},
	}
	if g.header != "" {
		settings = append(settings, [2]string{"http.extraHeader", g.header})
	}
	variables = append(variables, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, setting := range settings {
		n := strconv.Itoa(i)
		variables = append(variables, "GIT_CONFIG_KEY_"+n+"="+setting[0], "GIT_CONFIG_VALUE_"+n+"="+setting[1])
	}
	return variables
}

// run returns the output of a command, without the line break at its end. input may be nil.
func (g git) run(ctx context.Context, dir string, input io.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, g.path, args...)
	command.Dir, command.Env, command.Stdin = dir, g.environment(), input
	var output, problem bytes.Buffer
	command.Stdout, command.Stderr = &output, &problem
	if err := command.Run(); err != nil {
		said := strings.TrimSpace(problem.String() + "\n" + output.String())
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], filepath.Base(dir), err, said)
	}
	return strings.TrimSuffix(output.String(), "\n"), nil
}
