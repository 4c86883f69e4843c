package azcli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const repository = "../../../.."

// used is a verb with the flags that documents use, as they spell them.
type used map[string]map[string]bool

// note parses a command of a document and keeps what it uses.
func (u used) note(t *testing.T, path string, words []string) {
	t.Helper()
	if len(words) == 0 {
		return
	}
	known, rest, err := verbOf(words)
	require.NoError(t, err, path)
	if u[known.name] == nil {
		u[known.name] = map[string]bool{}
	}
	for _, word := range rest {
		if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "-") {
			u[known.name][flag] = true
			assert.NotEmpty(t, known.long(flag), "%s: az %s %s", path, known.name, flag)
		}
	}
}

// documented returns the az commands of all documents, as the words after az, by document.
func documented(t *testing.T) map[string][][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(repository, "docs", "*", "*.md"))
	require.NoError(t, err)
	top, err := filepath.Glob(filepath.Join(repository, "*.md"))
	require.NoError(t, err)
	files = slices.Concat(files, more, top)
	require.Greater(t, len(files), 8)
	found := map[string][][]string{}
	for _, file := range files {
		d, err := ReadDocument(file)
		require.NoError(t, err)
		scripts := slices.Clone(d.Spans)
		for _, b := range d.Blocks {
			if b.Language == "sh" {
				scripts = append(scripts, b.Script)
			}
		}
		for _, script := range scripts {
			lines, err := Lines(placeholder.ReplaceAllString(script, "X"))
			require.NoError(t, err, "%s: %s", file, script)
			found[file] = append(found[file], lines...)
		}
	}
	return found
}

// documentsUse returns the verbs and flags that all documents use.
func documentsUse(t *testing.T) used {
	t.Helper()
	found := used{}
	for file, lines := range documented(t) {
		for _, words := range lines {
			found.note(t, file, words)
		}
	}
	return found
}

// The vault of the state is open to every network, because GitHub's runners that sign in to it have
// no fixed addresses. Any other vault that the documents have people make admits only themselves
// and Azure's own services.
func TestUnit_NoDocumentMakesAVaultThatIsOpenToAllNetworks(t *testing.T) {
	t.Parallel()
	made := 0
	for file, lines := range documented(t) {
		for _, words := range lines {
			if !strings.HasPrefix(strings.Join(words, " "), "keyvault create ") {
				continue
			}
			command, err := Parse(words)
			require.NoError(t, err, file)
			if command.Flags["--resource-group"][0] == "gridos-state-rg" {
				continue
			}
			made++
			assert.Equal(t, []string{"Deny"}, command.Flags["--default-action"], file)
			assert.Equal(t, []string{"AzureServices"}, command.Flags["--bypass"], "the gateway reads its certificate: %s", file)
			assert.NotEmpty(t, command.Flags["--network-acls-ips"], file)
		}
	}
	assert.Positive(t, made)
}

func TestUnit_TheDocumentsUseTheVerbsAndFlagsOfTheTable(t *testing.T) {
	t.Parallel()
	found := documentsUse(t)
	for name, v := range verbs() {
		assert.Contains(t, found, name, "no document uses this verb")
		for flag := range v.flags {
			spelt := found[name][flag]
			for other, long := range v.flags {
				spelt = spelt || long == v.flags[flag] && found[name][other]
			}
			assert.True(t, spelt, "no document uses az %s %s", name, flag)
		}
	}
}

// For the verbs in the help of Debian's azure-cli the table must agree with that help; the others
// must name their source.
func TestUnit_TheTableIsWhatAzSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "azure-cli-2.45.0.txt"))
	require.NoError(t, err)
	help := map[string][][]string{}
	for line := range strings.Lines(string(text)) {
		name, flags, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, spellings := range strings.Fields(flags) {
			help[name] = append(help[name], strings.Split(spellings, "/"))
		}
	}
	require.Greater(t, len(help), 50)
	for name, v := range verbs() {
		if v.source != "azure-cli 2.45.0" {
			assert.NotContains(t, help, name, "the help knows this verb: it is the source")
			assert.Regexp(t, `^azure-cli [0-9.]+, |, (read )?[0-9]{1,2} [A-Z][a-z]+ 20[0-9]{2}`, v.source,
				"%s: name the document and its version or date", name)
			continue
		}
		require.Contains(t, help, name)
		for flag, long := range v.flags {
			assert.True(t, slices.ContainsFunc(help[name], func(s []string) bool { return slices.Contains(s, flag) && slices.Contains(s, long) }),
				"az %s does not know %s as %s", name, flag, long)
		}
	}
}

func TestUnit_WhatNoDocumentUsesIsRefused(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"aks delete -g a -n b":                         "az aks delete: the verb is in no document",
		"aks upgrade -g a -n b --control-plane-only":   "az aks upgrade: the flag --control-plane-only is in no document",
		"aks upgrade rg -n b --kubernetes-version 1.3": `az aks upgrade: "rg" belongs to no flag`,
	} {
		_, err := Parse(strings.Fields(line))
		require.ErrorContains(t, err, says)
	}
	c, err := Parse(strings.Fields("aks nodepool add -g a --cluster-name b -n c --zones 1 2 --mode=System --enable-cluster-autoscaler"))
	require.NoError(t, err)
	assert.Equal(t, Command{"aks nodepool add", map[string][]string{
		"--resource-group": {"a"}, "--cluster-name": {"b"}, "--name": {"c"}, "--zones": {"1", "2"}, "--mode": {"System"},
		"--enable-cluster-autoscaler": {},
	}}, c)
}
