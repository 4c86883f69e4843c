// Package pace shortens the waits of releases in the text of the application's manifests, so that a
// release in the lab takes a minute and not a quarter of an hour.
package pace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	leastWait = time.Second
	// leastWindow holds five scrapes of a Prometheus that scrapes each second; a rate needs two.
	leastWindow = 5 * time.Second
)

var (
	// window is the range of a Prometheus query.
	window = regexp.MustCompile(`\[(\d+[a-z][a-z0-9]*)\]`)
	// timed are the fields that can have a wait.
	timed = []string{"duration", "interval", "initialDelay"}
	// timedArguments are the arguments of an analysis that are waits, and placeholder matches the
	// use of one in a template.
	timedArguments = []string{"window", "delay"}
	placeholder    = regexp.MustCompile(`\{\{\s*args\.[^}\s]+\s*\}\}`)
)

// Speed says how the waits of a release are shortened. With the factor 1 and no limit it changes
// nothing.
type Speed struct {
	// Factor is multiplied with each wait. It is above 0.
	Factor float64
	// Longest is the most that a pause lasts, and that the window of an analysis after one is long;
	// 0 is no limit.
	Longest time.Duration
}

// String describes the speed for a commit message.
func (s Speed) String() string {
	said := "multiplied by " + strconv.FormatFloat(s.Factor, 'g', 3, 64)
	if s.Longest > 0 {
		said += fmt.Sprintf(", and no pause is longer than %s", s.Longest)
	}
	return said
}

// Pace shortens the waits of releases: each pause of a Rollout, and each interval, initial delay
// and rate window of an AnalysisTemplate. The result is in whole seconds, at least one. A window
// has at least five, because it must hold scrapes to compare. All other text stays unchanged.
type Pace struct {
	speed                      Speed
	pauses, intervals, windows int // found so far
}

// New returns the pace of a speed.
func New(speed Speed) (*Pace, error) {
	if !(speed.Factor > 0) || math.IsInf(speed.Factor, 1) {
		return nil, fmt.Errorf("the waits of a release cannot be multiplied by %v; the factor must be a number above 0", speed.Factor)
	}
	return &Pace{speed: speed}, nil
}

// Missing returns an error that names the kinds of waits that Scale has found in no file: then it
// does not know these manifests, and releases would take their real minutes.
func (p *Pace) Missing() error {
	var problem error
	for what, found := range map[string]int{
		"pause.duration of a Rollout": p.pauses, "interval of an AnalysisTemplate": p.intervals,
		"window in a query or an argument of an analysis": p.windows,
	} {
		if found == 0 {
			problem = errors.Join(problem, fmt.Errorf("there is no %s in the manifests; adapt the scaling to where it is now", what))
		}
	}
	return problem
}

// Scale returns a file with scaled waits. A wait that cannot be found or changed is an error.
func (p *Pace) Scale(name string, content []byte) ([]byte, error) {
	if extension := path.Ext(name); extension != ".yaml" && extension != ".yml" {
		return content, nil
	}
	edits := edits{content: content, made: map[int]edit{}}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return edits.apply(), nil
		}
		if err == nil {
			err = p.document(resolve(&document), &edits)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (p *Pace) document(root *yaml.Node, edits *edits) error {
	switch text(field(root, "kind")) {
	case "Rollout":
		canary := field(root, "spec", "strategy", "canary")
		if err := p.arguments(field(canary, "analysis", "args"), edits); err != nil {
			return err
		}
		for _, step := range items(field(canary, "steps")) {
			if pause := field(step, "pause"); pause != nil && field(pause, "duration") == nil {
				p.pauses++ // this pause lasts until a promotion: there is nothing to scale
			}
			if err := errors.Join(
				p.wait(field(step, "pause", "duration"), p.speed.Longest, &p.pauses, edits),
				p.arguments(field(step, "analysis", "args"), edits),
			); err != nil {
				return err
			}
		}
	case "AnalysisTemplate", "ClusterAnalysisTemplate":
		if err := p.arguments(field(root, "spec", "args"), edits); err != nil {
			return err
		}
		for _, metric := range items(field(root, "spec", "metrics")) {
			initial := 0
			if err := errors.Join(
				p.wait(field(metric, "interval"), 0, &p.intervals, edits),
				p.wait(field(metric, "initialDelay"), 0, &initial, edits),
				p.query(field(metric, "provider", "prometheus", "query"), edits),
			); err != nil {
				return err
			}
		}
	case "Kustomization":
		for _, patches := range []string{"patches", "patchesJson6902", "patchesStrategicMerge"} {
			for _, patch := range items(field(root, patches)) {
				if inline := field(patch, "patch"); inline != nil {
					patch = inline
				}
				if err := refusePatch(text(patch)); err != nil {
					return err
				}
			}
		}
	case "":
		return refuseOperations(root)
	}
	return nil
}

// arguments scales those arguments of an analysis that are waits; a window holds several scrapes.
func (p *Pace) arguments(args *yaml.Node, edits *edits) error {
	for _, argument := range items(args) {
		value := field(argument, "value")
		name := text(field(argument, "name"))
		if value == nil || !slices.Contains(timedArguments, name) {
			continue
		}
		least, most, found := leastWait, time.Duration(0), new(int)
		if name == "window" {
			least, most, found = leastWindow, p.speed.Longest, &p.windows
		}
		if err := p.waitOf(value, least, most, found, edits); err != nil {
			return err
		}
	}
	return nil
}

// wait scales a field that is a duration, or a number of seconds, and that lasts no longer than
// most, if there is one.
func (p *Pace) wait(node *yaml.Node, most time.Duration, found *int, edits *edits) error {
	if node == nil {
		return nil
	}
	return p.waitOf(node, leastWait, most, found, edits)
}

func (p *Pace) waitOf(node *yaml.Node, least, most time.Duration, found *int, edits *edits) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a wait must be a duration", node.Line)
	}
	if placeholder.MatchString(node.Value) {
		return nil // the argument is scaled
	}
	scaled, err := p.scaled(node.Value, least, most)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*found++
	return edits.replace(node, node.Value, scaled)
}

// query scales the windows of a Prometheus query.
func (p *Pace) query(node *yaml.Node, edits *edits) error {
	var changes []edit
	for _, found := range window.FindAllStringSubmatch(text(node), -1) {
		scaled, err := p.scaled(found[1], leastWindow, 0)
		if err != nil {
			return fmt.Errorf("query in line %d: %w", node.Line, err)
		}
		changes = append(changes, edit{found[0], "[" + scaled + "]"})
	}
	p.windows += len(changes)
	return edits.replaceWindows(node, changes)
}

func (p *Pace) scaled(old string, least, most time.Duration) (string, error) {
	plain := old
	if _, err := strconv.Atoi(old); err == nil {
		plain += "s"
	}
	duration, err := time.ParseDuration(plain)
	if err != nil {
		return "", fmt.Errorf("%q is no duration of hours, minutes and seconds, as 1m30s", old)
	}
	wanted := duration
	if p.speed.Factor != 1 && duration > 0 {
		seconds := math.Round(duration.Seconds() * p.speed.Factor)
		wanted = time.Duration(max(seconds, least.Seconds())) * time.Second
	}
	if most > 0 {
		wanted = min(wanted, most)
	}
	if wanted == duration {
		return old, nil
	}
	return strconv.Itoa(int(wanted.Seconds())) + "s", nil
}

// refusePatch refuses a patch inside a Kustomization that sets a wait. Its text is indented inside
// another text, and no present patch sets one.
func refusePatch(patch string) error {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(patch), &root); err != nil {
		return fmt.Errorf("read a patch: %w", err)
	}
	document := resolve(&root)
	switch text(field(document, "kind")) {
	case "Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate":
		if setsWait(document) {
			return errors.New("a patch inside a Kustomization sets a wait, which is not scaled; put it into a file of its own")
		}
	}
	return refuseOperations(document)
}

// refuseOperations refuses a JSON patch that sets a wait, because the meaning of its path depends
// on the patched object.
func refuseOperations(root *yaml.Node) error {
	for _, operation := range items(root) {
		where, value := text(field(operation, "path")), field(operation, "value")
		last := path.Base(where)
		if where != "" && (slices.Contains(timed, last) || setsWait(value) || window.MatchString(text(value))) {
			return fmt.Errorf("the JSON patch of %s sets a wait, which is not scaled; set it in the base, or by a strategic merge", where)
		}
	}
	return nil
}

// setsWait reports whether a field with a wait, or a window, is somewhere below.
func setsWait(node *yaml.Node) bool { return setsWaitBut(map[*yaml.Node]bool{}, node) }

// setsWaitBut looks at each node once: an alias may refer to a node that contains it.
func setsWaitBut(seen map[*yaml.Node]bool, node *yaml.Node) bool {
	node = resolve(node)
	if node == nil || seen[node] {
		return false
	}
	seen[node] = true
	if node.Kind == yaml.MappingNode {
		for pair := range slices.Chunk(node.Content, 2) {
			if slices.Contains(timed, pair[0].Value) {
				return true
			}
		}
	}
	return window.MatchString(text(node)) ||
		slices.ContainsFunc(node.Content, func(below *yaml.Node) bool { return setsWaitBut(seen, below) })
}

// resolve returns the content of a document, or the node of an alias.
func resolve(node *yaml.Node) *yaml.Node {
	switch {
	case node == nil:
		return nil
	case node.Kind == yaml.AliasNode:
		return node.Alias
	case node.Kind == yaml.DocumentNode:
		return node.Content[0]
	default:
		return node
	}
}

// field returns the node below a node by the names of fields, or nil.
func field(node *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for pair := range slices.Chunk(node.Content, 2) {
			if pair[0].Value == name {
				next = resolve(pair[1])
			}
		}
		node = next
	}
	return node
}

func items(node *yaml.Node) []*yaml.Node {
	if node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	var all []*yaml.Node
	for _, item := range node.Content {
		all = append(all, resolve(item))
	}
	return all
}

func text(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

// edits are replacements in a text, by their start: a value with several aliases is replaced once.
type edits struct {
	content []byte
	made    map[int]edit
}

type edit struct{ old, new string }

// replace gives a scalar another value.
func (e *edits) replace(node *yaml.Node, old, replacement string) error {
	at, ok := e.offset(node)
	if ok && node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		at++
	}
	if !ok || at > len(e.content) || !bytes.HasPrefix(e.content[at:], []byte(old)) {
		return fmt.Errorf("line %d: %q is written in a way that cannot be changed; write it without anchor and tag", node.Line, old)
	}
	e.made[at] = edit{old, replacement}
	return nil
}

// replaceWindows replaces all windows in a scalar, which may go over several lines.
func (e *edits) replaceWindows(node *yaml.Node, changes []edit) error {
	if len(changes) == 0 {
		return nil
	}
	at, ok := e.offset(node)
	if !ok {
		return fmt.Errorf("query in line %d cannot be found in the text; write the file with \\n alone at the end of lines", node.Line)
	}
	for _, change := range changes {
		next := window.FindIndex(e.content[at:])
		if next == nil || string(e.content[at+next[0]:at+next[1]]) != change.old {
			return fmt.Errorf("query in line %d: %s is not in the text as it is; write it without escapes", node.Line, change.old)
		}
		e.made[at+next[0]] = change
		at += next[1]
	}
	return nil
}

// offset returns the position where a node begins. A node has a line and, in characters, a column,
// both from 1. ok is false if YAML splits the text into other lines than \n does.
func (e *edits) offset(node *yaml.Node) (at int, ok bool) {
	for range node.Line - 1 {
		end := bytes.IndexByte(e.content[at:], '\n')
		if end < 0 {
			return 0, false
		}
		at += end + 1
	}
	line, _, _ := strings.Cut(string(e.content[at:]), "\n")
	for column := 1; column < node.Column; column++ {
		_, size := utf8.DecodeRuneInString(line)
		if size == 0 {
			return 0, false
		}
		at, line = at+size, line[size:]
	}
	return at, true
}

func (e *edits) apply() []byte {
	var result []byte
	from := 0
	for _, at := range slices.Sorted(maps.Keys(e.made)) {
		result = append(append(result, e.content[from:at]...), e.made[at].new...)
		from = at + len(e.made[at].old)
	}
	return append(result, e.content[from:]...)
}
