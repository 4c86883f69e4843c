package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// The kinds of places that can be changed.
const (
	kindSettings = "settings"
	kindCode     = "code"
	kindSample   = "sample"
)

type options struct {
	kind        string
	seed        uint64
	count, jobs int
	changed     string
	json        bool
	only, again string
	work        string
	tests, skip string
	touching    bool
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mutants",
		Short: "Turn the programs round, one place at a time, and list what no test notices",
		Long: "Turns literals, conditions and returns round, one at a time, and runs the unit tests that reach the place. What " +
			"survives is listed, and compared with lab/mutants/accepted.yaml, which has a reason for each.\n\n" +
			"Exit codes: 0 what survives is accepted; 3 a mutant survived that is not accepted, or one was killed that is; 1 failed.",
		Example: "  go run ./lab/mutants settings\n  go run ./lab/mutants settings --changed main\n" +
			"  go run ./lab/mutants code --seed 1 --count 300 --json | jq -r '.mutants[] | select(.by == \"\") | .mutant'",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, kind := range []struct {
		use, short, long string
		count            int
	}{
		{
			kindSettings, "Turn the literal settings of infra, bootstrap and apps",
			"Turns each literal that infra, bootstrap or apps registers, or takes for a default: a bool to its opposite, a number to one " +
				"more, an enumerated value to another of its kind, a text to another. What is registered as the mutant is compared with " +
				"the golden files, shown to the simulated Azure, and rated as the report of a pull request would.", 0,
		},
		{
			kindCode, "Turn conditions, returns and literals of the programs, policy, changes and pipeline",
			"Turns --count places of infra, bootstrap, apps, policy, changes and pipeline, which --seed chooses: operators, negations, " +
				"returned errors, counters and literals. 0 is all of them.", 300,
		},
		{
			kindSample, "Turn what changed, and a fixed list",
			"Turns the mutants of " + sampleFile + ", and --count of those of the lines that differ from --changed. Only the tests of " +
				"their packages and of their programs look at them. What survives of the changed lines is listed, and fails nothing.", 20,
		},
	} {
		o := options{kind: kind.use}
		cmd := &cobra.Command{
			Use: kind.use, Short: kind.short, Long: kind.long, Args: cobra.NoArgs,
			Example: "  go run ./lab/mutants " + kind.use + " --json\n  go run ./lab/mutants " + kind.use + " --changed main",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			},
		}
		cmd.Flags().Uint64Var(&o.seed, "seed", 1, "chooses the places, with --count")
		cmd.Flags().IntVar(&o.count, "count", kind.count, "how many places; 0 is all")
		cmd.Flags().IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many processes at once")
		cmd.Flags().StringVar(&o.changed, "changed", "", "only lines that differ from this `commit`")
		cmd.Flags().StringVar(&o.only, "only", "", "only files whose path begins with this")
		cmd.Flags().StringVar(&o.tests, "tests", "", "only tests whose name this `expression` matches")
		cmd.Flags().StringVar(&o.skip, "skip", "",
			"no test whose name this `expression` matches, as one that takes long and decides nothing")
		cmd.Flags().StringVar(&o.again, "again", "",
			"only what no test but that of the golden files killed, or was called plain, in this `report`, made with --json; "+
				"only the tests of their packages and of their programs look at it")
		if kind.use == kindSettings {
			cmd.Flags().StringVar(&o.work, "work", "", "keep what the programs register as each mutant in this `folder`, for the next time")
			cmd.Flags().BoolVar(&o.touching, "touching", false,
				"run the tests only against what touches access, encryption, exposure, logs, backup or deletion, or is in no golden file")
		}
		cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
		root.AddCommand(cmd)
	}
	return root
}

// result is the fate of a mutant.
type result struct {
	*mutant
	// By is the test, the guardrail or the rule of the simulated Azure that killed it, without the
	// golden files; "" means none did.
	By string `json:"by"`
	// Golden says that the golden files show the mutant.
	Golden bool `json:"golden"`
	// Touches and Plain are those of judgement.
	Touches []string `json:"touches,omitempty"`
	Plain   []string `json:"plain,omitempty"`
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "gridos-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	say := func(format string, args ...any) {
		fmt.Fprintf(stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
	directories := programs
	if o.kind != kindSettings {
		directories = slices.Concat(programs, judges)
	}
	sources, err := find(ctx, root, directories)
	if err != nil {
		return err
	}
	chosen, err := choose(ctx, root, sources, o)
	if err != nil {
		return err
	}
	say("%d mutants", len(chosen))
	file, tested, err := overlay(root, scratch, sources, directories)
	if err != nil {
		return err
	}
	tested = slices.DeleteFunc(tested, func(d string) bool {
		top, _, _ := strings.Cut(o.only, "/")
		return top != "" && d != top && !strings.HasPrefix(d, top+"/") || (o.kind == kindSample || o.again != "") && !near(d, chosen)
	})
	suites, err := build(ctx, root, scratch, file, tested)
	if err != nil {
		return err
	}
	say("%d test binaries are built", len(tested))
	if err := parallel(ctx, o.jobs, suites, func(ctx context.Context, s *suite) error { return s.trace(ctx, root) }); err != nil {
		return err
	}
	say("which test reaches what is known")
	results := map[int]*result{}
	for _, m := range chosen {
		results[m.ID] = &result{mutant: m}
	}
	if o.kind == kindSettings {
		if err := register(ctx, root, scratch, suites, results, o, say); err != nil {
			return err
		}
		maps.DeleteFunc(results, func(_ int, r *result) bool {
			r.Setting = r.stated || r.Golden
			return !r.Setting
		})
		say("%d of them are settings", len(results))
	}
	named, err := regexp.Compile(o.tests)
	if err != nil {
		return fmt.Errorf("--tests: %w", err)
	}
	skipped, err := regexp.Compile(o.skip)
	if err != nil {
		return fmt.Errorf("--skip: %w", err)
	}
	passes := []pass{{
		tests: func(test string) bool {
			return named.MatchString(test) && (o.skip == "" || !skipped.MatchString(test)) &&
				(o.kind != kindSettings || !ofGoldenFiles(test))
		},
		alive:  func(r *result) bool { return r.By == "" && (!o.touching || len(r.Touches) > 0 || !r.Golden) },
		killed: func(r *result, by string) { r.By = by },
	}}
	if o.kind == kindSettings { // the files of charts' values cover settings that no environment uses
		passes = append(passes, pass{
			tests:  ofGoldenFiles,
			alive:  func(r *result) bool { return r.By == "" && !r.Golden },
			killed: func(r *result, _ string) { r.Golden = true },
		})
	}
	for _, p := range passes {
		if err := p.hunt(ctx, root, suites, results, o.jobs, say); err != nil {
			return err
		}
	}
	return verdict(root, o, results, stdout)
}

// near reports whether the tests of a directory belong to a mutant's own package, or to its whole
// program.
func near(directory string, chosen []*mutant) bool {
	return slices.ContainsFunc(chosen, func(m *mutant) bool {
		top, _, _ := strings.Cut(m.File, "/")
		return directory == filepath.Dir(m.File) || directory == top || directory == filepath.Join(top, "program")
	})
}

// choose picks the mutants that the options name.
func choose(ctx context.Context, root string, sources []*source, o options) ([]*mutant, error) {
	var always map[string]bool
	if o.kind == kindSample {
		var err error
		if always, err = sample(root); err != nil {
			return nil, err
		}
	}
	var lines map[string]map[int]bool
	if o.changed != "" {
		var err error
		if lines, err = changedLines(ctx, root, o.changed); err != nil {
			return nil, err
		}
	}
	again, err := survivors(o.again)
	if err != nil {
		return nil, err
	}
	var fixed, chosen []*mutant
	for _, s := range sources {
		for _, m := range s.mutants {
			if always[m.Key] {
				m.fixed = true
				fixed = append(fixed, m)
				delete(always, m.Key)
				continue
			}
			if o.kind == kindSample && lines == nil || o.kind == kindSettings && !m.reaches || again != nil && !again[m.Key] ||
				lines != nil && !lines[m.File][m.Line] || !strings.HasPrefix(m.File, o.only) {
				continue
			}
			chosen = append(chosen, m)
		}
	}
	if o.count > 0 && o.count < len(chosen) {
		random := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // the same mutants for the same seed
		random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:o.count]
	}
	for key := range always {
		return nil, fmt.Errorf("%s has a mutant that there is none of: %s; write what `code --json` calls it now", sampleFile, key)
	}
	return append(fixed, chosen...), nil
}

// sampleFile has the mutants that are tried at each change.
const sampleFile = "lab/mutants/sample.yaml"

func sample(root string) (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(root, sampleFile))
	if err != nil {
		return nil, err
	}
	var list []string
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", sampleFile, err)
	}
	keys := map[string]bool{}
	for _, key := range list {
		keys[key] = true
	}
	return keys, nil
}

// survivors returns the mutants of a report that were killed by no test, or by the golden files
// only, or that were called plain; nil without a report.
func survivors(report string) (map[string]bool, error) {
	if report == "" {
		return nil, nil
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var read struct {
		Mutants []struct {
			Key   string   `json:"mutant"`
			By    string   `json:"by"`
			Plain []string `json:"plain"`
		}
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s is no report that --json has printed: %w", report, err)
	}
	found := map[string]bool{}
	for _, r := range read.Mutants {
		if r.By == "" || len(r.Plain) > 0 {
			found[r.Key] = true
		}
	}
	return found, nil
}

// changedLines returns the lines that differ from a commit, by file.
func changedLines(ctx context.Context, root, base string) (map[string]map[int]bool, error) {
	cmd := exec.CommandContext(ctx, "git", "diff", "-U0", "--no-color", "--no-ext-diff", base, "--", "*.go")
	cmd.Dir = root
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("compare with %s: %w; is it a commit?", base, err)
	}
	lines, file := map[string]map[int]bool{}, ""
	for line := range strings.Lines(string(output)) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file = strings.TrimSpace(name)
			lines[file] = map[int]bool{}
		}
		if !strings.HasPrefix(line, "@@ ") {
			continue
		}
		_, hunk, _ := strings.Cut(line, " +")
		hunk, _, _ = strings.Cut(hunk, " ")
		from, many, counted := strings.Cut(hunk, ",")
		first, _ := strconv.Atoi(from)
		count := 1
		if counted {
			count, _ = strconv.Atoi(many)
		}
		for i := range count {
			lines[file][first+i] = true
		}
	}
	return lines, nil
}

// register makes the programs register their resources as each mutant, and judges the result.
func register(
	ctx context.Context, root, scratch string, suites []*suite, results map[int]*result, o options, say func(string, ...any),
) error {
	dumps := filepath.Join(scratch, "registered")
	if o.work != "" {
		digest, err := digestOf(ctx, root)
		if err != nil {
			return err
		}
		dumps = filepath.Join(o.work, digest)
	}
	for _, s := range suites {
		if !s.golden {
			continue
		}
		before, err := registrations(filepath.Join(root, s.directory, "testdata"))
		if err != nil {
			return err
		}
		var plan []planned
		for id := range results {
			if s.registers(id) {
				plan = append(plan, planned{ID: id})
			}
		}
		slices.SortFunc(plan, func(a, b planned) int { return a.ID - b.ID })
		dump := filepath.Join(dumps, s.directory)
		missing := slices.DeleteFunc(slices.Clone(plan), func(p planned) bool {
			_, err := os.Stat(filepath.Join(dump, strconv.Itoa(p.ID)))
			return err == nil
		})
		var lock sync.Mutex
		work := 0
		err = parallel(ctx, o.jobs, slices.Collect(slices.Chunk(missing, 25)), func(ctx context.Context, part []planned) error {
			lock.Lock()
			work++
			home := filepath.Join(scratch, "tree", strconv.Itoa(work))
			lock.Unlock()
			here, err := tree(root, home, s.directory)
			if err != nil {
				return err
			}
			for len(part) > 0 {
				batch, id := part, 0
				if s.atStart[part[0].ID] {
					batch, id = part[:1], part[0].ID
				} else if i := slices.IndexFunc(part, func(p planned) bool { return s.atStart[p.ID] }); i > 0 {
					batch = part[:i]
				}
				done, err := s.batch(ctx, here, "dump", dump, id, batch, func(id int, by string) {
					if by != "" { // the program does not even run
						lock.Lock()
						results[id].Golden = true
						lock.Unlock()
					}
				})
				if err != nil {
					return err
				}
				part = part[done:]
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range plan {
			r := results[p.ID]
			after, err := registrations(filepath.Join(dump, strconv.Itoa(p.ID)))
			if err != nil {
				return err
			}
			j, err := judge(ctx, before, after)
			if err != nil {
				return err
			}
			r.Golden = r.Golden || j.Differs
			r.Touches, r.Plain = j.Touches, j.Plain
			for _, plain := range r.Plain {
				say("is called plain: %s: %s", plain, r.Key)
			}
			if j.Refused != "" {
				r.By = "the simulated Azure: " + short(j.Refused)
			}
		}
		say("%s has registered %d mutants", s.directory, len(plan))
	}
	return nil
}

// digestOf returns a digest of the sources of the programs.
func digestOf(ctx context.Context, root string) (string, error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "*.go", "go.mod", "*Pulumi*.yaml", ":!*_test.go", ":!lab", ":!src", ":!tools")
	list.Dir = root
	files, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("list the files of the repository: %w", err)
	}
	hash := sha256.New()
	for _, file := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", file, len(text), text)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// tree makes the part of a checkout that a golden test reads and writes, and returns the test's
// directory in it.
func tree(root, home, directory string) (string, error) {
	for _, program := range slices.Concat(programs, []string{"."}) {
		files, err := filepath.Glob(filepath.Join(root, program, "Pulumi*.yaml"))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			to := filepath.Join(home, program, filepath.Base(file))
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return "", err
			}
			if err := os.WriteFile(to, text, 0o600); err != nil {
				return "", err
			}
		}
	}
	here := filepath.Join(home, directory)
	return here, os.MkdirAll(filepath.Join(here, "testdata"), 0o700)
}

// pass is one run of some of the tests against the mutants that are still alive.
type pass struct {
	tests  func(test string) bool
	alive  func(r *result) bool
	killed func(r *result, by string)
}

// progress is how often a hunt reports its progress.
const progress = 20 * time.Second

// hunt runs the tests that reach each mutant until one of them fails.
func (p pass) hunt(
	ctx context.Context, root string, suites []*suite, results map[int]*result, jobs int, say func(string, ...any),
) error {
	// A package's own tests are fast, and most likely to kill its mutants.
	slices.SortStableFunc(suites, func(a, b *suite) int { return cmp.Compare(a.seconds(), b.seconds()) })
	last := map[int]*suite{} // the suite that decides whether the mutant survives
	for _, s := range suites {
		for id := range results {
			if len(s.against(id, p.tests)) > 0 {
				last[id] = s
			}
		}
	}
	for id, r := range results {
		if last[id] == nil && p.alive(r) && !r.Golden {
			say("none of these tests reaches: %s", r.Key)
		}
	}
	var lock sync.Mutex
	for _, s := range suites {
		var plan []planned
		for id, r := range results {
			if tests := s.against(id, p.tests); p.alive(r) && len(tests) > 0 {
				plan = append(plan, planned{ID: id, Tests: tests})
			}
		}
		if len(plan) == 0 {
			continue
		}
		slices.SortFunc(plan, func(a, b planned) int { return a.ID - b.ID })
		size := max(1, min(40, len(plan)/jobs+1))
		killed, decided, began := 0, 0, time.Now()
		said := began
		err := parallel(ctx, jobs, slices.Collect(slices.Chunk(plan, size)), func(ctx context.Context, part []planned) error {
			return s.kill(ctx, root, part, func(id int, by string) {
				lock.Lock()
				defer lock.Unlock()
				decided++
				switch r := results[id]; {
				case by != "":
					p.killed(r, s.directory+" "+by)
					killed++
				case last[id] == s && len(r.Touches) > 0:
					say("touches %s, and only golden files may show it: %s", strings.Join(r.Touches, ", "), r.Key)
				case last[id] == s && !r.Golden:
					say("survives these tests: %s", r.Key)
				}
				if time.Since(said) > progress {
					said = time.Now()
					say("%s has decided %d of %d", s.directory, decided, len(plan))
				}
			})
		})
		if err != nil {
			return err
		}
		say("%s kills %d of %d in %s", s.directory, killed, len(plan), time.Since(began).Round(time.Second))
	}
	return nil
}

func (s *suite) seconds() float64 {
	sum := 0.0
	for _, t := range s.tests {
		sum += t.Seconds
	}
	return sum
}

// acceptedFile has the mutants that may survive, each with the reason.
const acceptedFile = "lab/mutants/accepted.yaml"

type acceptance struct {
	Mutant string `yaml:"mutant"`
	Reason string `yaml:"reason"`
}

func accepted(root string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(root, acceptedFile))
	if err != nil {
		return nil, err
	}
	var list []acceptance
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", acceptedFile, err)
	}
	reasons := map[string]string{}
	for _, a := range list {
		if a.Mutant == "" || a.Reason == "" {
			return nil, fmt.Errorf("%s: an entry lacks mutant or reason: %+v", acceptedFile, a)
		}
		reasons[a.Mutant] = a.Reason
	}
	return reasons, nil
}

// verdict prints the fate of the mutants, and compares the survivors with the accepted ones.
func verdict(root string, o options, results map[int]*result, stdout io.Writer) error {
	reasons, err := accepted(root)
	if err != nil {
		return err
	}
	all := make([]*result, 0, len(results))
	for _, r := range results {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *result) int { return a.ID - b.ID })
	var t totals
	var wrong, lines []string
	for _, r := range all {
		t.add(r)
		survives := r.By == "" && !r.Golden
		reason, known := reasons[r.Key]
		switch {
		case survives && !known && o.kind == kindSample && !r.fixed:
			lines = append(lines, "no test notices: "+r.Key)
		case survives && !known:
			wrong = append(wrong, "survives: "+r.Key)
		case survives:
			lines = append(lines, "accepted: "+r.Key+" ("+reason+")")
		case known:
			wrong = append(wrong, "is accepted in "+acceptedFile+", but killed: "+r.Key+"; delete the entry")
		}
		if len(r.Touches) > 0 && r.By == "" {
			wrong = append(wrong, "touches "+strings.Join(r.Touches, ", ")+", and only the golden files show it: "+r.Key)
		}
		for _, plain := range r.Plain {
			wrong = append(wrong, "is called plain: "+plain+": "+r.Key)
		}
	}
	out := bufio.NewWriter(stdout)
	if o.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"totals": t, "mutants": all}); err != nil {
			return err
		}
	} else {
		for _, line := range slices.Concat(lines, wrong) {
			fmt.Fprintln(out, line)
		}
		t.write(out, o)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return errSurvivors
	}
	return nil
}

// totals are the figures of a run.
type totals struct {
	All     int `json:"all"`
	Without int `json:"killedWithoutGolden"`
	With    int `json:"killedWithGolden"`
	Touch   int `json:"touching"`
	Caught  int `json:"touchingKilledWithoutGolden"`
	Plain   int `json:"touchingCalledPlain"`
}

func (t *totals) add(r *result) {
	t.All++
	if r.By != "" {
		t.Without++
	}
	if r.By != "" || r.Golden {
		t.With++
	}
	if len(r.Touches) > 0 {
		t.Touch++
		if r.By != "" {
			t.Caught++
		}
	}
	if len(r.Plain) > 0 {
		t.Plain++
	}
}

func (t *totals) write(out io.Writer, o options) {
	switch {
	case o.kind != kindSettings:
		fmt.Fprintf(out, "%d mutants, %d killed\n", t.All, t.Without)
		return
	case o.touching:
		fmt.Fprintf(out, "%d settings: %d killed with the golden files\n", t.All, t.With)
	default:
		fmt.Fprintf(out, "%d settings: %d killed with the golden files, %d without\n", t.All, t.With, t.Without)
	}
	fmt.Fprintf(out, "%d touch access, encryption, exposure, logs, backup or deletion: "+
		"%d killed without the golden files, %d called plain\n",
		t.Touch, t.Caught, t.Plain)
}
