package changes

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/internal/cost"
	"github.com/gridos/sharedinfra/internal/plaintable"
)

// Cost is what the resources of an environment cost a month, as far as the price book has prices.
type Cost struct {
	Currency string `json:"currency"`
	// Before and After are the sums. Resources without a price are not in them; a quantity that
	// autoscaling or use decides makes a range.
	Before cost.Range `json:"before"`
	After  cost.Range `json:"after"`
	// Unpriced are the meters that the book has no price of, sorted.
	Unpriced []string `json:"unpriced,omitempty"`
	// Prices is how many prices were used; of these, Elsewhere are of another region, and Old are
	// older than cost.MaxAge, the oldest of Oldest.
	Prices    int    `json:"prices"`
	Elsewhere int    `json:"elsewhere"`
	Old       int    `json:"old"`
	Oldest    string `json:"oldest,omitempty"`
	// Resources are those that cost something, sorted by URN in each project.
	Resources []ResourceCost `json:"resources"`
}

// ResourceCost is what one resource costs a month. Before or After is nil where it is not there.
type ResourceCost struct {
	URN    string         `json:"urn"`
	Type   string         `json:"type"`
	Name   string         `json:"name"`
	Before *cost.Estimate `json:"before,omitempty"`
	After  *cost.Estimate `json:"after,omitempty"`
}

func month(e *cost.Estimate) cost.Range {
	if e == nil {
		return cost.Range{}
	}
	return e.Month()
}

// difference is how much more the resource costs.
func (c ResourceCost) difference() cost.Range { return month(c.After).Minus(month(c.Before)) }

// registered are the inputs of a project's resources before and after an update. They may have
// secrets, and are in no report.
type registered struct{ before, after []cost.Resource }

// see notes the two sides of a step. One side is missing of what is created or deleted.
func (r *registered) see(step apitype.StepEventMetadata) {
	if old := step.Old; old != nil && step.Op != apitype.OpCreate {
		r.before = append(r.before, cost.Resource{URN: step.URN, Type: old.Type, Inputs: old.Inputs})
	}
	if made := step.New; made != nil && step.Op != apitype.OpDelete {
		r.after = append(r.after, cost.Resource{URN: step.URN, Type: made.Type, Inputs: made.Inputs})
	}
}

// Price sets what the environment costs a month on a day, and raises the level of the changes that
// make it more expensive than its budget allows. It is called once, when all projects are in the
// report.
func (r *Report) Price(on time.Time) error {
	book, err := cost.Shipped()
	if err != nil {
		return err
	}
	budgets, err := cost.Budgets()
	if err != nil {
		return err
	}
	sum := Cost{Currency: book.Currency}
	for _, p := range r.Projects {
		sum.add(book, p.registered, on)
	}
	if len(sum.Resources) == 0 {
		return nil
	}
	slices.Sort(sum.Unpriced)
	sum.Unpriced = slices.Compact(sum.Unpriced)
	r.Cost = &sum
	r.weigh(budgets[r.Environment])
	return nil
}

// add prices the resources of one project.
func (c *Cost) add(book cost.Book, of registered, on time.Time) {
	for _, side := range [][]cost.Resource{of.before, of.after} { // the engine works on several resources at once
		slices.SortFunc(side, func(a, b cost.Resource) int { return cmp.Compare(a.URN, b.URN) })
	}
	first := len(c.Resources)
	defer func() {
		slices.SortFunc(c.Resources[first:], func(a, b ResourceCost) int { return cmp.Compare(a.URN, b.URN) })
	}()
	at := map[string]int{}
	resource := func(r cost.Resource) *ResourceCost {
		if _, ok := at[r.URN]; !ok {
			at[r.URN] = len(c.Resources)
			c.Resources = append(c.Resources, ResourceCost{URN: r.URN, Type: r.Type, Name: r.URN[strings.LastIndex(r.URN, ":")+1:]})
		}
		return &c.Resources[at[r.URN]]
	}
	for i, estimate := range book.Estimates(of.before) {
		if len(estimate.Lines) > 0 {
			resource(of.before[i]).Before = &estimate
			c.Before = c.Before.Plus(estimate.Month())
			c.Unpriced = append(c.Unpriced, estimate.Unpriced()...)
		}
	}
	for i, estimate := range book.Estimates(of.after) {
		if len(estimate.Lines) > 0 {
			resource(of.after[i]).After = &estimate
			c.After = c.After.Plus(estimate.Month())
			c.Unpriced = append(c.Unpriced, estimate.Unpriced()...)
			c.date(estimate, on)
		}
	}
}

// date notes how old the prices of an estimate are.
func (c *Cost) date(e cost.Estimate, on time.Time) {
	for _, line := range e.Lines {
		if line.Unpriced {
			continue
		}
		c.Prices++
		if line.Elsewhere {
			c.Elsewhere++
		}
		if line.Old(on) {
			c.Old++
			if c.Oldest == "" || line.AsOf < c.Oldest {
				c.Oldest = line.AsOf
			}
		}
	}
}

// weigh makes the changes risky that cost more than a budget allows.
func (r *Report) weigh(budget cost.Budget) {
	more := map[string]float64{}
	for _, c := range r.Cost.Resources {
		more[c.URN] = c.difference().High
	}
	over := budget.Month > 0 && r.Cost.After.High > budget.Month
	for _, p := range r.Projects {
		for i := range p.Changes {
			c := &p.Changes[i]
			extra := more[c.URN] + more[c.Was] // what is deleted for it costs nothing any more
			if extra <= 0 {
				continue
			}
			if budget.More > 0 && extra > budget.More {
				c.needs(Risky, fmt.Sprintf("costs up to %s a month more, and the budget of one change is %s",
					r.Cost.money(extra), r.Cost.money(budget.More)))
			}
			if over {
				c.needs(Risky, fmt.Sprintf("costs up to %s a month more; the environment then costs up to %s, and its budget is %s",
					r.Cost.money(extra), r.Cost.money(r.Cost.After.High), r.Cost.money(budget.Month)))
			}
		}
		sortByWeight(p.Changes)
	}
}

// needs notes why a change needs as much attention as a level, at least.
func (c *Change) needs(level Level, reason string) {
	c.Level = worse(c.Level, level)
	c.Reasons = unique(append(c.Reasons, reason))
}

func (c Cost) money(n float64) string { return amount(n) + " " + c.Currency }

// amount writes a number of a currency. Reports of pull requests are written by code that was not
// reviewed: whatever the number, the text is short.
func amount(n float64) string {
	if math.Abs(n) >= 1e9 {
		return fmt.Sprintf("%.3g", n)
	}
	return fmt.Sprintf("%.2f", n)
}

// between writes a range, or the number that both its ends are.
func between(r cost.Range) string {
	low, high := amount(r.Low), amount(r.High)
	if low == high {
		return low
	}
	return low + " to " + high
}

// signed writes a difference.
func signed(r cost.Range) string {
	sign := func(n float64) string {
		switch text := amount(n); {
		case text == "0.00" || text == "-0.00":
			return "0.00"
		case n > 0:
			return "+" + text
		default:
			return text
		}
	}
	low, high := sign(r.Low), sign(r.High)
	if low == high {
		return low
	}
	return low + " to " + high
}

// markdown returns the difference as a sentence to append to another, or "" if there is none.
func (c *Cost) markdown() string {
	if c == nil || c.After == c.Before {
		return ""
	}
	return " " + signed(c.After.Minus(c.Before)) + " " + plain(c.Currency) + " a month."
}

// costRow is one row of the costs in a report.
type costRow struct{ what, before, after, difference string }

// rows are the resources whose cost changes, the dearest first, all others together, and the sum.
func (c Cost) rows(environment string) []costRow {
	rest := cost.Range{}
	var changed []ResourceCost
	for _, resource := range c.Resources {
		if d := resource.difference(); d.Low != 0 || d.High != 0 {
			changed = append(changed, resource)
		} else {
			rest = rest.Plus(month(resource.After))
		}
	}
	slices.SortStableFunc(changed, func(a, b ResourceCost) int { return cmp.Compare(b.difference().High, a.difference().High) })
	var rows []costRow
	for _, resource := range changed[:min(len(changed), mostRows)] {
		rows = append(rows, costRow{
			resource.Type[strings.LastIndex(resource.Type, ":")+1:] + " " + resource.Name,
			between(month(resource.Before)), between(month(resource.After)), signed(resource.difference()),
		})
	}
	if len(changed) > 0 {
		rows = append(rows, costRow{"all others", between(rest), between(rest), signed(cost.Range{})})
	}
	return append(rows, costRow{environment, between(c.Before), between(c.After), signed(c.After.Minus(c.Before))})
}

// remarks say what the sums consist of, and what is missing in them. quoted quotes the texts of the
// report.
func (c Cost) remarks(quoted func(string) string) []string {
	var remarks []string
	if len(c.Unpriced) > 0 {
		remarks = append(remarks, "Not priced, and not in these sums: "+quoted(strings.Join(c.Unpriced, ", "))+".")
	}
	prices := counted(c.Prices, "price")
	if c.Elsewhere > 0 {
		remarks = append(remarks, fmt.Sprintf("%d of %s are of another region, for want of one of this.", c.Elsewhere, prices))
	}
	if c.Old > 0 {
		remarks = append(remarks, fmt.Sprintf("%d of %s are older than %d days, the oldest of %s; make prices brings them up to date.",
			c.Old, prices, int(cost.MaxAge.Hours()/24), quoted(c.Oldest)))
	}
	return remarks
}

func (c Cost) writeText(out *printer, environment string) {
	out.line("")
	t := plaintable.New(out)
	t.AppendHeader(table.Row{printable(c.Currency) + " a month", "before", "after", "difference"})
	for _, row := range c.rows(environment) {
		t.AppendRow(table.Row{printable(row.what), row.before, row.after, row.difference})
	}
	t.Render()
	for _, remark := range c.remarks(printable) {
		out.line("%s", remark)
	}
}

func (c Cost) writeMarkdown(out *printer, environment string) {
	out.line("")
	out.line("| %s a month | before | after | difference |", plain(c.Currency))
	out.line("|---|--:|--:|--:|")
	for _, row := range c.rows(environment) {
		out.line("| %s | %s | %s | %s |", code(row.what), row.before, row.after, row.difference)
	}
	for _, remark := range c.remarks(plain) {
		out.line("")
		out.line("%s", remark)
	}
}
