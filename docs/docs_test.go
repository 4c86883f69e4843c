// Package docs_test checks the documents: links lead somewhere, commands exist, and commands that
// need only a checkout and the lab work.
package docs_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/gridos/sharedinfra/stacks"
)

// document is a Markdown file of the repository.
type document struct {
	path     string // from the root of the repository
	links    []string
	anchors  []string
	commands []block
	indented int // code blocks that are only indented, which say no language
}

// block is a code block of shell commands.
type block struct {
	text string
	// needs is the requirement beyond a checkout and the lab that its first line names, or empty.
	needs string
}

// root is the root of the repository.
const root = ".."

// documents reads every Markdown file that Git knows, or would.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, path := range tracked(t, "*.md") {
		if strings.Contains(path, "testdata/") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		all = append(all, parse(path, source))
	}
	require.Greater(t, len(all), 8)
	return all
}

func parse(path string, source []byte) document {
	d := document{path: path}
	parsed := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(parsed, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := node.(type) {
		case *ast.Link:
			d.links = append(d.links, string(n.Destination))
		case *ast.Image:
			d.links = append(d.links, string(n.Destination))
		case *ast.Heading:
			d.anchors = append(d.anchors, anchor(string(n.Lines().Value(source))))
		case *ast.CodeBlock:
			d.indented++
		case *ast.FencedCodeBlock:
			if language := string(n.Language(source)); language == "sh" || language == "bash" || language == "shell" || language == "console" {
				d.commands = append(d.commands, newBlock(string(n.Lines().Value(source))))
			}
		}
		return ast.WalkContinue, nil
	})
	return d
}

func newBlock(text string) block {
	first, _, _ := strings.Cut(text, "\n")
	for _, mark := range []string{"# needs ", "# run by "} {
		if strings.HasPrefix(first, mark) {
			return block{text: text, needs: strings.TrimPrefix(first, "# ")}
		}
	}
	return block{text: text}
}

var markup = regexp.MustCompile("[`*]|\\]\\([^)]*\\)|\\[")

// anchor is how GitHub names a heading: lower case, hyphens for spaces, no punctuation.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return '-'
		case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, strings.TrimSpace(markup.ReplaceAllString(heading, "")))
}

func TestUnit_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	anchors := map[string][]string{}
	all := documents(t)
	for _, d := range all {
		anchors[d.path] = d.anchors
	}
	for _, d := range all {
		for _, link := range d.links {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			path, fragment, _ := strings.Cut(link, "#")
			target := d.path
			if path != "" {
				target = filepath.Join(filepath.Dir(d.path), path)
				_, err := os.Stat(filepath.Join(root, target))
				if err != nil {
					t.Errorf("%s links to %s, which is not there", d.path, link)
				}
			}
			if fragment != "" && strings.HasSuffix(target, ".md") {
				assert.Contains(t, anchors[target], fragment, "%s links to %s", d.path, link)
			}
		}
	}
}

func TestUnit_CommandsSayWhatTheyNeed(t *testing.T) {
	t.Parallel()
	placeholder := regexp.MustCompile(`<[a-z][^>\n]*>`)
	for _, d := range documents(t) {
		assert.Zero(t, d.indented, "%s: code blocks are fenced and say their language", d.path)
		for _, b := range d.commands {
			if b.needs == "" {
				assert.NotRegexp(t, placeholder, b.text, "%s: a block with placeholders cannot be run; its first line says what it needs (# needs Azure)",
					d.path)
			}
		}
	}
}

func TestUnit_CommandsOfTheRepositoryExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := names(regexp.MustCompile(`(?m)^([a-z-]+):`), string(makefile))
	lab := names(regexp.MustCompile(`(?m)^  ([a-z-]+)  `), help(t, "./lab"))
	pipeline := names(regexp.MustCompile(`(?m)^  ([a-z-]+)  `), help(t, "./pipeline"))
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	for _, d := range documents(t) {
		for _, b := range d.commands {
			for target := range names(regexp.MustCompile(`(?m)(?:^|[;&|(] *)make ([a-z-]+)`), b.text) {
				assert.Contains(t, targets, target, "%s: make %s", d.path, target)
				if b.needs == "run by .ci/run" {
					assert.Regexp(t, `\bmake\b.* `+target+`\b`, string(ci), "%s: make %s", d.path, target)
				}
			}
			for command := range names(regexp.MustCompile(`(?:\./lab|bin/lab) ([a-z-]+)`), b.text) {
				assert.Contains(t, lab, command, "%s: lab %s", d.path, command)
			}
			for command := range names(regexp.MustCompile(`(?:\./pipeline|bin/pipeline) ([a-z-]+)`), b.text) {
				assert.Contains(t, pipeline, command, "%s: pipeline %s", d.path, command)
			}
			for directory := range names(regexp.MustCompile(`pulumi -C ([a-z./]+)`), b.text) {
				assert.FileExists(t, filepath.Join(root, directory, "Pulumi.yaml"), "%s: pulumi -C %s", d.path, directory)
			}
		}
	}
}

// names returns what the first group of a pattern matches in a text.
func names(pattern *regexp.Regexp, text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		found[match[1]] = true
	}
	return found
}

// help returns the help text of a command of the repository.
func help(t *testing.T, command string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), "go", "run", command, "--help")
	run.Dir = root
	output, err := run.CombinedOutput()
	require.NoError(t, err, string(output))
	return string(output)
}

// The document for other teams says since when the contract's version is there, and its example in
// Go compiles. A test of stacks compares its table of outputs.
func TestUnit_TheDocumentOfTheContractIsUpToDate(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("CONSUMING_OUTPUTS.md")
	require.NoError(t, err)
	assert.Contains(t, string(document), fmt.Sprintf("\n| %d | ", stacks.ContractVersion), "the table of versions")

	_, example, found := strings.Cut(string(document), "```go\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "```")
	compiled, err := os.ReadFile(filepath.Join(root, "stacks", "example_test.go"))
	require.NoError(t, err)
	assert.Contains(t, strings.ReplaceAll(string(compiled), "\n\t", "\n"), example)
}

// Unreviewed code runs with the identity of pull requests, and plans are made before a reviewer
// approves them: every role that the set-up gives to these identities only reads. The set-up names
// each identity once, and gives it roles in one section.
func TestUnit_TheIdentityOfPullRequestsOnlyReads(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("INFRA_PIPELINE_SETUP.md")
	require.NoError(t, err)
	document := string(content)
	sectionOf := func(title string) string {
		_, section, found := strings.Cut(document, "\n### "+title+"\n")
		require.True(t, found, title)
		section, _, _ = strings.Cut(section, "\n##")
		return section
	}

	// A kubeconfig of AKS has no credential in it (rule K3).
	const kubeconfig = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"
	definitions := regexp.MustCompile(`az role definition create --role-definition '([^']*)'`).FindAllStringSubmatch(document, -1)
	require.NotEmpty(t, definitions)
	assert.Len(t, definitions, strings.Count(document, "az role definition"), "definitions of roles that this test does not see")
	var own []string
	for _, definition := range definitions {
		var role struct {
			Name, Description                      string
			AssignableScopes, Actions, DataActions []string
		}
		decoder := json.NewDecoder(strings.NewReader(definition[1]))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&role))
		own = append(own, role.Name)
		require.NotEmpty(t, role.Actions)
		for _, action := range append(role.Actions, role.DataActions...) {
			assert.True(t, strings.HasSuffix(action, "/read") || action == kubeconfig, "%s may %s", role.Name, action)
		}
	}

	// Key Vault Crypto User unwraps the keys of the states; it can change neither them nor the vault.
	builtIn := []string{"Reader", "Storage Blob Data Reader", "Key Vault Crypto User"}
	reading := sectionOf("What the read-only identity may, and what it sees")
	listed := names(regexp.MustCompile(`(?m)^\| ([A-Z][\w ]+) \|`), reading)
	assert.ElementsMatch(t, builtIn, slices.Collect(maps.Keys(listed)), "roles in the table")
	for identity, section := range map[string]string{"reader": reading, "planner": sectionOf("What a plan's identity may")} {
		given := names(regexp.MustCompile(`--role[ =]"?([^"\n]+?)"? --`), section)
		assert.ElementsMatch(t, append(own, builtIn...), slices.Collect(maps.Keys(given)), "roles that are assigned to the %s", identity)
		assert.Len(t, regexp.MustCompile(`--role\b[^-]`).FindAllString(section, -1), len(given), "each of them once, where this test sees it")
		assert.Equal(t, strings.Count(section, "$"+identity), strings.Count(document, "$"+identity), "who gives roles to the %s", identity)
	}
	assert.Equal(t, 1, strings.Count(document, "-n gridos-preview "), "who gives roles to the identity")
}

var here = flag.Bool("here", false, "run the README's commands in this checkout, whose lab is up")

// A reader's path through the documents: the README first, then the others, in a clone with the lab
// up. No block takes it down: .ci/run does that. With -here it is the README alone, in the checkout
// itself.
func TestCluster_EveryCommandInTheDocumentsWorks(t *testing.T) {
	if testing.Short() && !*here {
		t.Skip("-short: .ci/run plays the README's commands in its own lab")
	}
	repository, err := filepath.Abs(root)
	require.NoError(t, err)
	clone := repository
	if !*here {
		clone = filepath.Join(t.TempDir(), "clone")
	}
	shell := func(t *testing.T, script string) error {
		t.Helper()
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		command.Dir = clone
		command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PULUMI_") })
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		err := command.Run()
		if err != nil {
			t.Logf("%s\n%s", script, output.String())
		}
		return err
	}
	if !*here {
		output, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", repository, clone).CombinedOutput()
		require.NoError(t, err, string(output))
		uncommitted(t, repository, clone)
		t.Cleanup(func() {
			command := exec.Command("go", "run", "./lab", "down")
			command.Dir = clone
			output, err := command.CombinedOutput()
			assert.NoError(t, err, string(output))
		})
		require.NoError(t, shell(t, "bin/lab up --gitops"))
	}
	for _, d := range documents(t) {
		if !slices.ContainsFunc(d.commands, func(b block) bool { return b.needs == "" }) || *here && d.path != "README.md" {
			continue
		}
		t.Run(d.path, func(t *testing.T) {
			for _, b := range d.commands {
				if b.needs == "" {
					assert.NoError(t, shell(t, `eval "$(bin/lab env)"`+"\n"+b.text), b.text)
				}
			}
		})
	}
}

// uncommitted copies the changes of the working tree to the clone, so that the test tries the
// documents as they are.
func uncommitted(t *testing.T, repository, clone string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--modified", "--others", "--exclude-standard")
	list.Dir = repository
	files, err := list.Output()
	require.NoError(t, err)
	for path := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(repository, path))
		if path == "" || os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(clone, path)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(clone, path), content, 0o600))
	}
}
