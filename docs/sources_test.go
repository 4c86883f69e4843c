package docs_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The pages of facts about Azure and other programs, and the page of facts without a source.
const (
	rulesPage    = "docs/azure-rules.md"
	standInsPage = "docs/stand-ins.md"
	verifyPage   = "docs/to-verify.md"
)

// standIns are the packages that replace a real program or service in a test or in the lab.
var standIns = []string{
	"lab/internal/azure/arm", "lab/internal/azure/azcli", "lab/internal/azure/services", "lab/internal/cluster/cloudcontroller",
	"lab/internal/cluster/controlplane", "lab/internal/cluster/mesh", "lab/internal/cluster/networkpolicy", "lab/internal/cluster/nodeagent", "lab/internal/cluster/scheduling",
	"lab/internal/cluster/standins", "lab/internal/delivery", "lab/internal/delivery/database", "lab/internal/delivery/gitserver",
	"lab/internal/delivery/image", "lab/internal/delivery/registry", "lab/internal/delivery/scraping", "lab/internal/delivery/traffic",
	"lab/internal/offline/charts", "lab/internal/offline/random", "pipeline/internal/github/githubtest",
	"pipeline/internal/preflight/azuretest",
}

// others are the packages of the lab that stand in for nothing: they drive real programs and
// stand-ins, or look at them.
var others = []string{
	"azure", "azure/enginetest", "azure/schema", "cluster/apitest", "cluster/argocluster", "cluster/nodeagent/testdata/program", "daemon", "delivery/argo",
	"delivery/fieldgateway", "delivery/gitops",
	"delivery/manifests", "delivery/pace", "delivery/page", "engine", "host/atomicfile", "host/browsertest", "host/kube", "host/loopback", "host/process", "host/progress",
	"host/site", "host/toolchain", "providers", "scenario", "world", "world/baseline",
}

// row is a line of a table, by the titles of the columns.
type row struct {
	page, section string
	cells         map[string]string
}

func (r row) String() string {
	for _, column := range []string{"id", "claim", "resource", "what Azure does"} {
		if text := r.cells[column]; text != "" {
			return r.page + ", " + r.section + ", " + text
		}
	}
	return r.page + ", " + r.section
}

// rowsOf reads the tables of a page. Each cell of each row has text.
func rowsOf(t *testing.T, page string) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	var all []row
	var titles []string
	section := ""
	for line := range strings.Lines(string(text)) {
		if heading, found := strings.CutPrefix(line, "## "); found {
			section = strings.TrimSpace(heading)
		}
		if !strings.HasPrefix(line, "|") {
			titles = nil
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if titles == nil {
			titles = cells
			continue
		}
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		r := row{page, section, map[string]string{}}
		if assert.Len(t, cells, len(titles), "%s: as many cells as the table has columns: %s", page, line) {
			for i, title := range titles {
				assert.NotEmpty(t, cells[i], "%s: the column %q is empty: %s", page, title, line)
				r.cells[title] = cells[i]
			}
		}
		all = append(all, r)
	}
	require.NotEmpty(t, all, page)
	return all
}

// basis is a part of a cell: where one fact, or all of the row, comes from.
type basis struct{ word, slug, of string }

var basisPart = regexp.MustCompile("^(?:(schema|documented|observed)|(inferred) `([a-z0-9-]+)`)(?:: (.+))?$")

// basesOf reads the cell "basis" of a row.
func basesOf(t *testing.T, r row) []basis {
	t.Helper()
	var all []basis
	unsplit := 0
	for part := range strings.SplitSeq(r.cells["basis"], "; ") {
		match := basisPart.FindStringSubmatch(part)
		if !assert.NotNil(t, match, "%s: the basis %q is not schema, documented, observed or inferred `name`", r, part) {
			continue
		}
		if match[4] == "" {
			unsplit++
		}
		all = append(all, basis{match[1] + match[2], match[3], match[4]})
	}
	assert.LessOrEqual(t, unsplit, 1, "%s: which fact is of which basis?", r)
	return all
}

var (
	// The form of the source of each basis.
	specification = regexp.MustCompile(`\bspecification [a-z]+ \d{4}-\d{2}-\d{2}\b`)
	dated         = regexp.MustCompile(`\b(January|February|March|April|May|June|July|August|September|October|November|December) \d{4}\b` +
		`|^github/docs at [0-9a-f]{7}`) // whose articles have no dates
	issue       = regexp.MustCompile(`[A-Za-z0-9._/-]+#\d+`)
	versioned   = regexp.MustCompile("( at [0-9a-f]{7,}| v?\\d+(\\.\\d+)+( to \\d+(\\.\\d+)+)?) `[^`]+`|`[^`]*-\\d+(\\.\\d+)+[^`]*`")
	countPhrase = regexp.MustCompile(`(\d+) schema, (\d+) documented, (\d+) observed, (\d+) inferred`)
)

// TestUnit_EveryFactHasASource: each row of the pages says in one of four words where it has each
// fact from, and names what a reader can look up: a version, a date, an issue, a file. What has no
// such source is inferred, and has a name.
func TestUnit_EveryFactHasASource(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, page := range []string{rulesPage, standInsPage} {
		for _, r := range rowsOf(t, page) {
			source := r.cells["source"]
			var words []string
			for _, b := range basesOf(t, r) {
				counts[b.word]++
				words = append(words, b.word)
			}
			for word, pattern := range map[string]*regexp.Regexp{"schema": specification, "documented": dated} {
				if slices.Contains(words, word) {
					assert.True(t, slices.ContainsFunc(strings.Split(source, "; "), pattern.MatchString),
						"%s: it is %s, by none of the sources %q", r, word, source)
				}
			}
			if slices.Contains(words, "observed") {
				assert.True(t, issue.MatchString(source) || versioned.MatchString(source),
					"%s: it is observed, and %q has neither an issue nor a file with its version", r, source)
			}
			if !slices.Contains(words, "inferred") {
				for part := range strings.SplitSeq(source, "; ") {
					found := specification.MatchString(part) || dated.MatchString(part) || issue.MatchString(part) || versioned.MatchString(part)
					assert.True(t, found, "%s: the source %q has no date, version or issue", r, part)
				}
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, rulesPage))
	require.NoError(t, err)
	said := countPhrase.FindString(string(text))
	var counted []string
	for _, word := range []string{"schema", "documented", "observed", "inferred"} {
		counted = append(counted, strconv.Itoa(counts[word])+" "+word)
	}
	t.Log(strings.Join(counted, ", "))
	assert.Equal(t, strings.Join(counted, ", "), said, "%s says how many facts have which basis", rulesPage)
}

var (
	// inferredWord is the word in prose, and after it the name of what is inferred.
	inferredWord = regexp.MustCompile("(?i)\\binferred\\b(?:[\\s,]+\\[?`([a-z0-9-]+)`)?")
	quoted       = regexp.MustCompile("`([^`]+)`")
	command      = regexp.MustCompile("`(az|gh|kubectl|make|pulumi) [^`]+`")
)

// TestUnit_EveryInferenceIsToBeVerified: what is inferred, in a page or in a comment, has a line
// with the command that would verify it, and no line is left over.
func TestUnit_EveryInferenceIsToBeVerified(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, r := range rowsOf(t, verifyPage) {
		name := strings.Trim(r.cells["id"], "`")
		assert.False(t, listed[name], "%s has two lines for %s", verifyPage, name)
		listed[name] = true
		assert.Regexp(t, command, r.cells["command"], "%s: %s", verifyPage, name)
	}
	used := map[string]bool{}
	for _, page := range []string{rulesPage, standInsPage} {
		for _, r := range rowsOf(t, page) {
			for _, b := range basesOf(t, r) {
				if b.slug != "" {
					used[b.slug] = true
					assert.True(t, listed[b.slug], "%s is inferred: add %s to %s", r, b.slug, verifyPage)
				}
			}
		}
	}
	for path, text := range prose(t) {
		for _, match := range inferredWord.FindAllStringSubmatch(text, -1) {
			used[match[1]] = true
			assert.True(t, listed[match[1]], "%s says %q: name what is inferred, and add a line for it to %s", path, match[0], verifyPage)
		}
	}
	for name := range listed {
		assert.True(t, used[name], "nothing says that %s is inferred; drop it from %s", name, verifyPage)
	}
}

// prose is what people read, by path: the comments of Go files, YAML, and the documents other than
// the pages above.
func prose(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range tracked(t, "*.go", "*.yaml", "*.yml", "*.md") {
		if slices.Contains([]string{rulesPage, standInsPage, verifyPage, "CHANGELOG.md", "docs/sources_test.go"}, path) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		if filepath.Ext(path) == ".go" {
			file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
			require.NoError(t, err)
			text = nil
			for _, comment := range file.Comments {
				text = append(text, comment.Text()+"\n"...)
			}
		}
		all[path] = string(text)
	}
	return all
}

// tracked are the files that Git knows, or would.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	arguments := append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"}, patterns...)
	list := exec.CommandContext(t.Context(), "git", arguments...)
	list.Dir = root
	files, err := list.Output()
	require.NoError(t, err)
	return strings.Split(strings.Trim(string(files), "\x00"), "\x00")
}

var (
	packageLine = regexp.MustCompile(`(?m)^Packages?: .*$`)
	testName    = regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z]+_[A-Za-z0-9_]+)\(`)
)

// TestUnit_EveryStandInHasItsClaims: each package of the lab is in one of the two lists above. The
// page has a section for each that stands in for something. A claim names the file that makes it
// and the tests that hold it.
func TestUnit_EveryStandInHasItsClaims(t *testing.T) {
	t.Parallel()
	tests, packages := map[string]bool{}, map[string]bool{}
	for _, path := range tracked(t, "*.go") {
		if strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(filepath.Join(root, path))
			require.NoError(t, err)
			for _, match := range testName.FindAllStringSubmatch(string(text), -1) {
				tests[match[1]] = true
			}
		}
		packages[filepath.ToSlash(filepath.Dir(path))] = true
	}
	for directory := range packages {
		name, inLab := strings.CutPrefix(directory, "lab/internal/")
		assert.False(t, inLab && !slices.Contains(standIns, directory) && !slices.Contains(others, name),
			"%s is in no list of this test: add it to standIns, with a section in %s, or to others", directory, standInsPage)
	}

	text, err := os.ReadFile(filepath.Join(root, standInsPage))
	require.NoError(t, err)
	claims := map[string]int{}
	for _, r := range rowsOf(t, standInsPage) {
		claims[r.section]++
		for _, file := range quoted.FindAllStringSubmatch(r.cells["in the lab"], -1) {
			_, err := os.Stat(filepath.Join(root, file[1]))
			require.NoError(t, err, "%s", r)
			assert.True(t, slices.ContainsFunc(standIns, func(s string) bool { return strings.HasPrefix(file[1], s+"/") }),
				"%s: %s is in no package that stands in for something", r, file[1])
		}
		names := quoted.FindAllStringSubmatch(r.cells["test"], -1)
		assert.NotEmpty(t, names, "%s: which test holds it?", r)
		for _, name := range names {
			assert.True(t, tests[name[1]], "%s: there is no test %s", r, name[1])
		}
	}
	for _, directory := range standIns {
		assert.True(t, packages[directory], "there is no package %s", directory)
		found := slices.ContainsFunc(strings.Split(string(text), "\n## ")[1:], func(section string) bool {
			heading, _, _ := strings.Cut(section, "\n")
			return claims[strings.TrimSpace(heading)] > 0 && strings.Contains(packageLine.FindString(section), "`"+directory+"`")
		})
		assert.True(t, found, "%s has no section with claims of %s", standInsPage, directory)
	}
}
