package changes

import (
	"fmt"
	"slices"
	"strings"
)

// mostNodes is how many resources a graph has before those of a component become one node: a
// picture with more is of no use.
const mostNodes = 40

// graph draws what changes as a Mermaid flowchart: an arrow leads from a resource to those that
// depend on it.
func (r Report) graph() []string {
	lines := []string{"flowchart LR"}
	nodes := map[string]string{} // the node that stands for a resource, by URN
	levels := map[string]Level{}
	var order []string
	fold := len(r.All()) > mostNodes
	for i, p := range r.Projects {
		if len(p.Changes) == 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("  subgraph p%d[%s]", i, label(p.Name)))
		type group struct {
			id, text string
			count    int
		}
		var groups []*group
		byKey := map[string]*group{}
		for _, c := range p.Changes {
			key, text := c.URN, string(c.Op)+" "+c.shortType()+"<br/>"+c.Name
			if fold && c.Level != Dangerous {
				key = string(c.Op) + " " + c.Component
				text = string(c.Op) + " in " + c.Component
				if c.Component == "" {
					text = string(c.Op)
				}
			}
			g := byKey[key]
			if g == nil {
				g = &group{id: fmt.Sprintf("n%d_%d", i, len(groups)), text: text}
				byKey[key] = g
				groups = append(groups, g)
				order = append(order, g.id)
				levels[g.id] = c.Level
			}
			g.count++
			nodes[c.URN] = g.id
			levels[g.id] = worse(levels[g.id], c.Level)
		}
		for _, g := range groups {
			text := g.text
			if g.count > 1 {
				text = fmt.Sprintf("%s<br/>%d resources", text, g.count)
			}
			lines = append(lines, fmt.Sprintf("    %s[%s]", g.id, label(text)))
		}
		lines = append(lines, "  end")
	}
	var arrows []string
	for _, c := range r.All() {
		for _, on := range c.DependsOn {
			if from, to := nodes[on], nodes[c.URN]; from != to {
				arrows = append(arrows, fmt.Sprintf("  %s --> %s", from, to))
			}
		}
	}
	slices.Sort(arrows)
	lines = append(lines, slices.Compact(arrows)...)
	for _, level := range Levels() {
		var of []string
		for _, id := range order {
			if levels[id] == level {
				of = append(of, id)
			}
		}
		if len(of) > 0 && level != Plain {
			lines = append(lines,
				fmt.Sprintf("  classDef %s %s", level, styles[level]),
				fmt.Sprintf("  class %s %s", strings.Join(of, ","), level))
		}
	}
	return lines
}

// styles can be read on a light and on a dark page.
var styles = map[Level]string{
	Dangerous: "fill:#ffebe9,stroke:#cf222e,stroke-width:3px,color:#82071e",
	Risky:     "fill:#fff8c5,stroke:#bf8700,color:#633c01",
	Costly:    "fill:#fbefff,stroke:#8250df,color:#512a97",
}

// label quotes a text for Mermaid; only the line breaks that were meant stay.
func label(s string) string {
	parts := strings.Split(s, "<br/>")
	for i, part := range parts {
		parts[i] = strings.NewReplacer("&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "'", "\n", " ").Replace(part)
	}
	return `"` + strings.Join(parts, "<br/>") + `"`
}
