package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// instrumented returns the file with all of its mutants.
func (s *source) instrumented() string {
	edits := make([]edit, len(s.mutants))
	for i, m := range s.mutants {
		edits[i] = m.edit
	}
	// The order is from the outside to the inside, and from left to right.
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	text, _ := render(string(s.text), s.named, len(s.text), edits)
	return string(s.text[:s.named]) + "; import mutant_ \"" + module + "/internal/mutant\"" + text + "\nvar _ = mutant_.On\n"
}

// render makes the edits between two offsets, and returns the remaining ones.
func render(text string, from, to int, edits []edit) (string, []edit) {
	var b strings.Builder
	at := from
	for len(edits) > 0 && edits[0].from < to {
		e := edits[0]
		b.WriteString(text[at:e.from])
		var inner string
		inner, edits = render(text, e.from, e.to, edits[1:])
		b.WriteString(e.wrap(inner))
		at = e.to
	}
	b.WriteString(text[at:to])
	return b.String(), edits
}

// question is the package that instrumented code asks.
const question = `// Package mutant says which mutant the program is.
package mutant

import (
	"os"
	"strconv"
	"sync/atomic"
)

var (
	active atomic.Int64
	seen   [%d]atomic.Bool
)

func init() {
	n, _ := strconv.ParseInt(os.Getenv("MUTANT"), 10, 64)
	active.Store(n)
}

// On reports whether the program is the mutant n.
func On(n int) bool {
	if !seen[n].Load() {
		seen[n].Store(true)
	}
	return active.Load() == int64(n)
}

// Pick returns original, or changed if the program is the mutant n.
func Pick[T any](n int, original, changed T) T {
	if On(n) {
		return changed
	}
	return original
}

// Set makes the program the mutant n.
func Set(n int) { active.Store(int64(n)) }

// Reached returns the mutants that were asked about since it was called last.
func Reached() []int {
	var reached []int
	for n := range seen {
		if seen[n].Swap(false) {
			reached = append(reached, n)
		}
	}
	return reached
}
`

// driver is the test that plays mutants in a test binary. %s are the package, the tests and, in a
// binary that registers, an import.
const driver = `package %s

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"` + module + `/internal/mutant"
	%s
)

func TestMutants_Play(t *testing.T) {
	tests := []testing.InternalTest{
		%s
	}
	out, err := os.OpenFile(os.Getenv("MUTANTS_OUT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	say := func(v any) {
		text, _ := json.Marshal(v)
		fmt.Fprintf(out, "%%s\n", text)
	}
	run := func(name string) bool {
		for _, test := range tests {
			if test.Name == name {
				return testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{test})
			}
		}
		return true
	}
	atStart := mutant.Reached()
	switch os.Getenv("MUTANTS_MODE") {
	case "trace":
		say(map[string]any{"reached": atStart})
		for _, test := range tests {
			began := time.Now()
			ok := run(test.Name)
			say(map[string]any{"test": test.Name, "ok": ok, "seconds": time.Since(began).Seconds(), "reached": mutant.Reached()})
		}
	case "kill":
		var plan []struct {
			ID    int
			Tests []string
		}
		text, _ := os.ReadFile(os.Getenv("MUTANTS_PLAN"))
		if err := json.Unmarshal(text, &plan); err != nil {
			t.Fatal(err)
		}
		kills := map[string]int{} // neighbours often have the same killer
		for _, p := range plan {
			say(map[string]any{"begin": p.ID})
			mutant.Set(p.ID)
			killer := ""
			slices.SortStableFunc(p.Tests, func(a, b string) int { return kills[b] - kills[a] })
			for _, name := range p.Tests {
				if !run(name) {
					killer = name
					kills[name]++
					break
				}
			}
			mutant.Set(0)
			say(map[string]any{"end": p.ID, "test": killer})
		}
	case "dump":
		var plan []struct{ ID int }
		text, _ := os.ReadFile(os.Getenv("MUTANTS_PLAN"))
		if err := json.Unmarshal(text, &plan); err != nil {
			t.Fatal(err)
		}
		%s
		for _, p := range plan {
			say(map[string]any{"begin": p.ID})
			mutant.Set(p.ID)
			ok := run("` + goldenTest + `")
			mutant.Set(0)
			to := filepath.Join(os.Getenv("MUTANTS_DUMP"), fmt.Sprint(p.ID))
			files, err := filepath.Glob("testdata/*.yaml")
			if err = errors.Join(err, os.MkdirAll(to, 0o700)); err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := os.Rename(file, filepath.Join(to, filepath.Base(file))); err != nil {
					t.Fatal(err)
				}
			}
			say(map[string]any{"end": p.ID, "ok": ok})
		}
	}
	os.Exit(0)
}
`

// goldenTest compares the registrations with the golden files, in each program.
const goldenTest = "TestUnit_EveryRegisteredInputIsInTheGoldenFile"

// overlay writes the instrumented files, the package that they ask and a driver for each directory
// with tests. It returns the file for the go command's -overlay, and the directories.
func overlay(root, scratch string, sources []*source, directories []string) (file string, tested []string, err error) {
	replace := map[string]string{}
	write := func(path, text string) error {
		to := filepath.Join(scratch, "src", strings.ReplaceAll(path, "/", "+"))
		replace[filepath.Join(root, path)] = to
		return os.WriteFile(to, []byte(text), 0o600)
	}
	if err := os.MkdirAll(filepath.Join(scratch, "src"), 0o700); err != nil {
		return "", nil, err
	}
	last := 0
	for _, s := range sources {
		if len(s.mutants) == 0 {
			continue
		}
		last = s.mutants[len(s.mutants)-1].ID
		if err := write(s.path, s.instrumented()); err != nil {
			return "", nil, err
		}
	}
	if err := write("internal/mutant/mutant.go", fmt.Sprintf(question, last+1)); err != nil {
		return "", nil, err
	}
	for _, directory := range directories {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			byPackage, err := testsIn(path)
			if err != nil || len(byPackage) == 0 {
				return err
			}
			for name, tests := range byPackage {
				imports, update := "", ""
				if slices.Contains(tests, goldenTest) {
					imports, update = `"`+module+`/internal/mocks"`, "*mocks.Update = true"
				}
				var list strings.Builder
				for _, test := range tests {
					fmt.Fprintf(&list, "{Name: %q, F: %s},\n", test, test)
				}
				text := fmt.Sprintf(driver, name, imports, list.String(), update)
				kind := "in"
				if strings.HasSuffix(name, "_test") {
					kind = "ex"
				}
				if len(byPackage) == 2 { // one binary has both
					text = strings.ReplaceAll(text, "TestMutants_Play", "TestMutants_Play"+kind)
				}
				if err := write(filepath.Join(relative, "mutants_"+kind+"_test.go"), text); err != nil {
					return err
				}
			}
			tested = append(tested, relative)
			return nil
		})
		if err != nil {
			return "", nil, err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(scratch, "overlay.json")
	return file, tested, os.WriteFile(file, text, 0o600)
}

// testsIn returns the names of a directory's unit tests, by package.
func testsIn(directory string) (map[string][]string, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*_test.go"))
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "TestUnit_") {
				found[parsed.Name.Name] = append(found[parsed.Name.Name], f.Name.Name)
			}
		}
	}
	return found, nil
}
