package changes

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/cost"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/internal/rendered"
)

// Rendering is what one release of a chart, or one overlay of Kustomize, changes in the cluster.
type Rendering struct {
	// Kind is "release", "application" for a chart that Argo CD installs, or "overlay".
	Kind string `json:"kind"`
	// Name is the release's, the Application's, or the path of the overlay.
	Name string `json:"name"`
	// URN is that of the resource that installs it; empty for an overlay.
	URN string `json:"urn,omitempty"`
	// Before and After are the chart and its version. One is empty where there is none.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Objects are those that differ, the dangerous ones first.
	Objects []rendered.Change `json:"objects,omitempty"`
	// Note says what could not be compared, and why.
	Note string `json:"note,omitempty"`
}

// Sides says where a rendering finds the files of both sides.
type Sides struct {
	// Before and After are the folders of two checkouts. Without Before no overlay is compared.
	Before, After string
	// Client is for chart repositories; nil is the default one.
	Client *http.Client
}

// What a rendering is of.
const (
	releases     = "release"
	applications = "application"
	overlays     = "overlay"
)

const (
	releaseKind     = "kubernetes:helm.sh:Release"
	applicationKind = "kubernetes:argoproj.io:Application"
)

// Render sets what the releases and the overlays of the environment change in the cluster, and
// raises the level of the changes that do something risky there. It renders only what differs. What
// cannot be rendered is no error, and the report says so. Render is called once, when all projects
// are in the report.
func (r *Report) Render(ctx context.Context, sides Sides) error {
	charts := &rendered.Charts{Kubernetes: r.kubernetes(), Client: sides.Client}
	for _, p := range r.Projects {
		before, after := inputsByURN(p.registered.before), inputsByURN(p.registered.after)
		all := maps.Clone(before)
		maps.Copy(all, after)
		for _, urn := range slices.Sorted(maps.Keys(all)) {
			was, hadIt := installed(before[urn], sides.Before)
			is, hasIt := installed(after[urn], sides.After)
			if is.Namespace == Unknown { // an update does not move a release
				is.Namespace = was.Namespace
			}
			if !hadIt && !hasIt || hadIt && hasIt && was.equal(is) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			r.Rendered = append(r.Rendered, renderRelease(ctx, charts, urn, was, is))
		}
	}
	if sides.Before != "" {
		rendering, err := renderOverlay(sides, naming.Overlay(r.Environment))
		if err != nil {
			return err
		}
		if rendering != nil {
			r.Rendered = append(r.Rendered, *rendering)
		}
	}
	r.heed()
	return nil
}

// kubernetes is the version of the cluster after the update, or "" if it is in no project.
func (r *Report) kubernetes() string {
	for _, p := range r.Projects {
		for _, resource := range p.registered.after {
			if kindOf(resource.Type) != "azure-native:containerservice:ManagedCluster" {
				continue
			}
			if version, ok := resource.Inputs["kubernetesVersion"].(string); ok {
				return version
			}
		}
	}
	return ""
}

func inputsByURN(resources []cost.Resource) map[string]cost.Resource {
	found := map[string]cost.Resource{}
	for _, resource := range resources {
		if kind := kindOf(resource.Type); kind == releaseKind || kind == applicationKind {
			found[resource.URN] = resource
		}
	}
	return found
}

// installation is a chart that a resource installs.
type installation struct {
	kind string
	rendered.Release
	// mistake is why the resource's inputs do not say what it installs.
	mistake string
}

// equal reports whether both are the same but for the folder of the checkout.
func (i installation) equal(other installation) bool {
	i.Folder, other.Folder = "", ""
	return reflect.DeepEqual(i, other)
}

// chart names the chart and its version.
func (i installation) chart() string {
	name := i.Chart
	if !strings.Contains(name, "://") {
		name = filepath.Base(name)
	}
	return strings.TrimSpace(name + " " + i.Version)
}

// installed returns what a resource installs; false if it is not there, or installs no chart.
func installed(resource cost.Resource, checkout string) (installation, bool) {
	inputs, _ := readable(resource.Inputs).(map[string]any)
	text := func(path string) string {
		value, _ := valueAt(inputs, path).(string)
		return value
	}
	object := func(path string) (map[string]any, bool) {
		value := valueAt(inputs, path)
		found, ok := value.(map[string]any)
		return found, ok || value == nil
	}
	var found installation
	ok := true
	switch kindOf(resource.Type) {
	case releaseKind:
		found.kind = releases
		found.Name, found.Namespace = text("name"), text("namespace")
		found.Chart, found.Version, found.Repository = text("chart"), text("version"), text("repositoryOpts.repo")
		found.Folder = filepath.Join(checkout, "bootstrap") // the directory of the project, which paths are relative to
		found.Values, ok = object("values")
	case applicationKind:
		found.kind = applications
		found.Name, found.Namespace = text("metadata.name"), text("spec.destination.namespace")
		found.Chart, found.Version = text("spec.source.chart"), text("spec.source.targetRevision")
		found.Repository = text("spec.source.repoURL")
		if found.Chart != "" && !strings.Contains(found.Repository, "://") { // Argo CD takes it for a registry of charts
			found.Repository = "oci://" + found.Repository
		}
		found.Values, ok = object("spec.source.helm.valuesObject")
	}
	if !ok {
		found.mistake = "its values are known only after the update, or secret as a whole"
	}
	return found, found.Chart != ""
}

// renderRelease compares what a resource installs before and after.
func renderRelease(ctx context.Context, charts *rendered.Charts, urn string, was, is installation) Rendering {
	result := Rendering{Kind: cmp.Or(is.kind, was.kind), Name: cmp.Or(is.Name, was.Name), URN: urn}
	var before, after []rendered.Object
	var err error
	if was.Chart != "" {
		result.Before = was.chart()
		before, err = render(ctx, charts, was, false)
	}
	if is.Chart != "" && err == nil {
		result.After = is.chart()
		after, err = render(ctx, charts, is, was.Chart == "")
	}
	if err != nil {
		result.Note = "Its objects are not compared: " + oneLineOf(err.Error()) + "."
		return result
	}
	if was.Chart == is.Chart && was.Version != is.Version && is.Repository == "" && !strings.Contains(is.Chart, "://") {
		result.Note = "Both sides have the chart of one folder: only the values are compared, not the versions."
	}
	result.Objects = rendered.Compare(before, after, Unknown)
	return result
}

func render(ctx context.Context, charts *rendered.Charts, i installation, install bool) ([]rendered.Object, error) {
	if i.mistake != "" {
		return nil, errors.New(i.mistake)
	}
	i.Install = install
	objects, err := charts.Render(ctx, i.Release)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.chart(), err)
	}
	return objects, nil
}

// renderOverlay compares an overlay of two checkouts; nil if its files are the same.
func renderOverlay(sides Sides, overlay string) (*Rendering, error) {
	application := filepath.FromSlash(strings.Split(overlay, "/overlays/")[0])
	same, err := sameFiles(filepath.Join(sides.Before, application), filepath.Join(sides.After, application))
	if err != nil || same {
		return nil, err
	}
	result := Rendering{Kind: overlays, Name: overlay}
	side := func(checkout string) ([]rendered.Object, error) {
		folder := filepath.Join(checkout, filepath.FromSlash(overlay))
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		objects, err := rendered.Overlay(folder)
		if err != nil {
			return nil, errors.New(strings.ReplaceAll(err.Error(), checkout+string(filepath.Separator), ""))
		}
		return objects, nil
	}
	before, err := side(sides.Before)
	if err == nil {
		var after []rendered.Object
		if after, err = side(sides.After); err == nil {
			result.Objects = rendered.Compare(before, after, "")
		}
	}
	if err != nil {
		result.Note = "Its objects are not compared: " + oneLineOf(err.Error()) + "."
	}
	if len(result.Objects) == 0 && result.Note == "" {
		return nil, nil
	}
	return &result, nil
}

// sameFiles reports whether two folders have the same files.
func sameFiles(one, other string) (bool, error) {
	first, err := filesIn(one)
	if err != nil {
		return false, err
	}
	second, err := filesIn(other)
	return maps.EqualFunc(first, second, bytes.Equal), err
}

func filesIn(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close() // it is only read
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files[filepath.FromSlash(path)], err = fs.ReadFile(root.FS(), path)
		return err
	})
	return files, err
}

func oneLineOf(s string) string { return strings.TrimSuffix(strings.Join(strings.Fields(s), " "), ".") }

// heed makes the changes risky that do something risky in the cluster.
func (r *Report) heed() {
	for _, rendering := range r.Rendered {
		dangerous, risky := rendering.count(rendered.Dangerous), rendering.count(rendered.Risky)
		if rendering.URN == "" || dangerous+risky == 0 {
			continue
		}
		for _, p := range r.Projects {
			for i := range p.Changes {
				if p.Changes[i].URN == rendering.URN {
					p.Changes[i].needs(Risky, "of the objects in the cluster that it changes, "+risks(dangerous, risky))
				}
			}
			sortByWeight(p.Changes)
		}
	}
}

// risks writes how many are dangerous and risky.
func risks(dangerous, risky int) string {
	var parts []string
	if dangerous > 0 {
		parts = append(parts, fmt.Sprintf("%d dangerous", dangerous))
	}
	if risky > 0 {
		parts = append(parts, fmt.Sprintf("%d risky", risky))
	}
	if len(parts) == 0 {
		return "none risky"
	}
	return strings.Join(parts, ", ")
}

func (r Rendering) count(risk rendered.Risk) int {
	n := 0
	for _, o := range r.Objects {
		if o.Risk == risk {
			n++
		}
	}
	return n
}

// Objects returns how many objects in the cluster differ.
func (r Report) Objects() int {
	n := 0
	for _, rendering := range r.Rendered {
		n += len(rendering.Objects)
	}
	return n
}

// inCluster sums up what changes in the cluster, or is "".
func (r Report) inCluster() string {
	n, dangerous, risky := r.Objects(), 0, 0
	for _, rendering := range r.Rendered {
		dangerous += rendering.count(rendered.Dangerous)
		risky += rendering.count(rendered.Risky)
	}
	verb := "differ"
	switch n {
	case 0:
		return ""
	case 1:
		verb = "differs"
	}
	return fmt.Sprintf("%s in the cluster %s, %s.", counted(n, "object"), verb, risks(dangerous, risky))
}

// dangerousObjects are the dangerous changes in the cluster, as changes of a report.
func (r Report) dangerousObjects() []Change {
	var found []Change
	for _, rendering := range r.Rendered {
		for _, o := range rendering.Objects {
			if o.Risk != rendered.Dangerous {
				continue
			}
			found = append(found, Change{
				Op: Op(o.Op), URN: cmp.Or(rendering.URN, rendering.Name) + "::" + o.Title(),
				Type: "kubernetes:" + o.APIVersion + ":" + o.Kind,
				Name: strings.TrimPrefix(o.Title(), o.Kind+" "), Component: rendering.Kind + " " + rendering.Name,
				Level: Dangerous, Reasons: o.Reasons,
			})
		}
	}
	return found
}

// Consents returns the codes of the consents that the dangerous changes of the report need: one for
// those that Pulumi makes, which a deployment needs too, and one for those of objects in the
// cluster.
func (r Report) Consents() []string {
	var codes []string
	if code := r.Consent(); code != "" {
		codes = append(codes, code)
	}
	var lines []string
	for _, c := range r.dangerousObjects() {
		lines = append(lines, fmt.Sprintf("%q %q\n", c.Op, c.URN))
	}
	if len(lines) > 0 {
		slices.Sort(lines)
		sum := sha256.Sum256([]byte(fmt.Sprintf("objects of %q\n", r.Environment) + strings.Join(lines, "")))
		codes = append(codes, r.Environment+"-"+hex.EncodeToString(sum[:10]))
	}
	return codes
}

// title names what was rendered.
func (r Rendering) title() string {
	title := r.Kind + " " + r.Name
	switch {
	case r.Before == r.After && r.Before != "":
		title += " (" + r.Before + ")"
	case r.Before != "" || r.After != "":
		title += " (" + cmp.Or(r.Before, "nothing") + " → " + cmp.Or(r.After, "nothing") + ")"
	}
	return title
}

// row is how many objects of a rendering are created, updated and deleted, and how many of them are
// risky and dangerous.
func (r Rendering) row() table.Row {
	row := table.Row{}
	for _, op := range rendered.Ops() {
		n := 0
		for _, o := range r.Objects {
			if o.Op == op {
				n++
			}
		}
		row = append(row, n)
	}
	return append(row, r.count(rendered.Risky), r.count(rendered.Dangerous))
}

// mostFields bounds the fields of one object in what people read; the JSON has all.
const mostFields = 20

func (r Report) writeRenderedText(out *printer, paint func(Level, string) string) {
	if len(r.Rendered) == 0 {
		return
	}
	out.line("")
	t := plaintable.New(out)
	t.AppendHeader(table.Row{"in the cluster", "create", "update", "delete", "risky", "dangerous"})
	for _, rendering := range r.Rendered {
		t.AppendRow(append(table.Row{printable(rendering.title())}, rendering.row()...))
	}
	t.Render()
	rows := mostRows
	for _, rendering := range r.Rendered {
		if rendering.Note != "" {
			out.line("%s %s: %s", rendering.Kind, printable(rendering.Name), printable(rendering.Note))
		}
		for _, o := range rendering.Objects {
			if rows--; rows < 0 {
				continue
			}
			out.line("")
			out.line("%-9s  %-7s  %s in %s", paint(Level(o.Risk), string(o.Risk)), o.Op, printable(o.Title()), printable(rendering.Name))
			for _, reason := range o.Reasons {
				out.line("           %s", printable(reason))
			}
			for i, f := range o.Fields {
				if i == mostFields {
					out.line("           and %d fields more", len(o.Fields)-mostFields)
					break
				}
				out.line("           %s", printable(Property{Path: f.Path, Old: f.Old, New: f.New}.String()))
			}
		}
	}
	if rows < 0 {
		out.line("")
		out.line("And %s more, which need less attention; the JSON has all.", counted(-rows, "object"))
	}
}

// writeRendered writes what changes in the cluster, and the risky objects of it.
func (r Report) writeRendered(out *printer, rows int) {
	if len(r.Rendered) == 0 {
		return
	}
	out.line("")
	out.line("| in the cluster | create | update | delete | risky | dangerous |")
	out.line("|---|--:|--:|--:|--:|--:|")
	for _, rendering := range r.Rendered {
		row := "| " + code(rendering.title()) + " |"
		for _, n := range rendering.row() {
			row += fmt.Sprintf(" %v |", n)
		}
		out.line("%s", row)
	}
	for _, rendering := range r.Rendered {
		if rendering.Note != "" {
			out.line("")
			out.line("%s: %s", code(rendering.Kind+" "+rendering.Name), plain(rendering.Note))
		}
	}
	header := false
	for _, rendering := range r.Rendered {
		for _, o := range rendering.Objects {
			if o.Risk == rendered.Plain {
				continue
			}
			if rows--; rows < 0 {
				continue
			}
			if !header {
				header = true
				out.line("")
				out.line("| attention | change | object | why |")
				out.line("|---|---|---|---|")
			}
			level := string(o.Risk)
			if o.Risk == rendered.Dangerous {
				level = "**" + level + "**"
			}
			out.line("| %s | %s | %s | %s |", level, o.Op, code(o.Title()), plain(strings.Join(o.Reasons, "; ")))
		}
	}
	if rows < 0 {
		out.line("")
		out.line("And %d more; the report's JSON, an artifact of the run, has all.", -rows)
	}
}

// writeObjects writes the fields of the objects that change in the cluster.
func (r Report) writeObjects(out *printer, heading string, rows int) {
	var lines []string
	for _, rendering := range r.Rendered {
		if len(rendering.Objects) > 0 && rows > 0 {
			lines = append(lines, "  "+rendering.title())
		}
		for _, o := range rendering.Objects {
			if rows--; rows < 0 {
				break
			}
			lines = append(lines, "  "+string(o.Op)+" "+o.Title())
			for i, f := range o.Fields {
				if i == mostFields {
					lines = append(lines, fmt.Sprintf("      and %d fields more", len(o.Fields)-mostFields))
					break
				}
				lines = append(lines, Property{Path: f.Path, Old: f.Old, New: f.New}.diff()...)
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	out.line("")
	out.line("<details><summary>Objects in the cluster, %s</summary>", heading)
	fenced(out, "diff", lines)
	out.line("</details>")
}
