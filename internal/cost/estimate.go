package cost

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// What Azure counts by the month and by the day (MicrosoftDocs/azure-docs,
// application-gateway/understanding-pricing.md of 3 October 2022; infracost counts the days of a
// registry so).
const (
	hoursPerMonth = 730
	daysPerMonth  = 30
)

// Range is from the least to the most: what autoscaling or use decides is not one number.
type Range struct {
	Low  float64 `json:"low" yaml:"low"`
	High float64 `json:"high" yaml:"high"`
}

// Exactly is the range of one number.
func Exactly(n float64) Range { return Range{n, n} }

// Plus adds two ranges.
func (r Range) Plus(o Range) Range { return Range{r.Low + o.Low, r.High + o.High} }

// Minus is how much more r is than o, if both are at their least, and if both are at their most.
func (r Range) Minus(o Range) Range {
	least, most := r.Low-o.Low, r.High-o.High
	return Range{min(least, most), max(least, most)}
}

// Times multiplies both ends.
func (r Range) Times(n float64) Range { return Range{r.Low * n, r.High * n} }

// Resource is what is registered of a resource.
type Resource struct {
	URN    string
	Type   string
	Inputs map[string]any
}

// Line is one thing that is counted of a resource.
type Line struct {
	// Meter is its name in the price book. If Unpriced is set the book has none with the name.
	Meter    string `json:"meter"`
	Unpriced bool   `json:"unpriced,omitempty"`
	// Quantity is how much of it a month has, in Unit.
	Quantity Range   `json:"quantity"`
	Unit     string  `json:"unit,omitempty"`
	Price    float64 `json:"price,omitempty"`
	// Region is the price's, and AsOf its day; Elsewhere says that the resource is in another
	// region.
	Region    string `json:"region,omitempty"`
	Elsewhere bool   `json:"elsewhere,omitempty"`
	AsOf      string `json:"asOf,omitempty"`
	Source    string `json:"source,omitempty"`
	Month     Range  `json:"month"`
}

// Estimate is what a resource costs a month.
type Estimate struct {
	Lines []Line `json:"lines"`
}

// Month is the sum of what is priced.
func (e Estimate) Month() Range {
	var sum Range
	for _, line := range e.Lines {
		sum = sum.Plus(line.Month)
	}
	return sum
}

// Unpriced are the meters without a price, sorted.
func (e Estimate) Unpriced() []string {
	var names []string
	for _, line := range e.Lines {
		if line.Unpriced && !slices.Contains(names, line.Meter) {
			names = append(names, line.Meter)
		}
	}
	slices.Sort(names)
	return names
}

// apiVersion is the version in a type token: azure-native:network/v20240501:Subnet.
var apiVersion = regexp.MustCompile(`/v[^:/]*:`)

// Estimates returns what each resource of a stack costs a month. It needs all of them together: a
// node pool has no region of its own, and its nodes cost more in a cluster that Defender watches.
func (b Book) Estimates(resources []Resource) []Estimate {
	var home string
	var watched bool
	for _, r := range resources {
		if in := inputs(r.Inputs); kindOf(r.Type) == "azure-native:containerservice:ManagedCluster" {
			home = in.text("location")
			watched = in.is(true, "securityProfile", "defender", "securityMonitoring", "enabled")
		}
	}
	estimates := make([]Estimate, len(resources))
	for i, r := range resources {
		c := count{book: b, region: cmp.Or(inputs(r.Inputs).text("location"), home), watched: watched}
		c.resource(kindOf(r.Type), r.Inputs)
		estimates[i] = c.estimate
	}
	return estimates
}

func kindOf(token string) string { return apiVersion.ReplaceAllString(token, ":") }

// count makes the lines of one resource.
type count struct {
	book     Book
	region   string
	watched  bool
	estimate Estimate
}

func (c *count) resource(kind string, in inputs) {
	if !strings.HasPrefix(kind, "azure-native:") || slices.Contains(c.book.Free.Types, kind) {
		return
	}
	if counts, ok := counted[kind]; ok {
		counts(c, in)
	} else {
		c.unpriced(strings.TrimPrefix(kind, "azure-native:"))
	}
}

// of counts a quantity of a meter.
func (c *count) of(meter string, quantity Range) {
	if quantity.High == 0 {
		return
	}
	m, p, ok := c.book.find(meter, c.region)
	if !ok {
		c.estimate.Lines = append(c.estimate.Lines, Line{Meter: meter, Unpriced: true, Quantity: quantity})
		return
	}
	c.estimate.Lines = append(c.estimate.Lines, Line{
		Meter: meter, Quantity: quantity, Unit: m.Unit, Price: p.Price, Region: p.Region,
		Elsewhere: p.Region != Everywhere && p.Region != c.region,
		AsOf:      p.AsOf, Source: c.book.Sources[p.Source].URL, Month: quantity.Times(p.Price),
	})
}

// unpriced notes what cannot be counted: a type or a size that is not known here, or a quantity
// that is known only later.
func (c *count) unpriced(what string) {
	c.estimate.Lines = append(c.estimate.Lines, Line{Meter: what, Unpriced: true})
}

// inputs are those of a resource as the engine's events have them. There a secret is an object, and
// an unknown value is a text: neither counts as a number.
type inputs map[string]any

func (in inputs) at(path ...string) any {
	var value any = map[string]any(in)
	for _, key := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

func (in inputs) text(path ...string) string {
	text, _ := in.at(path...).(string)
	return text
}

func (in inputs) number(path ...string) (float64, bool) { return number(in.at(path...)) }

func (in inputs) is(want any, path ...string) bool { return in.at(path...) == want }

func (in inputs) list(path ...string) []inputs {
	values, _ := in.at(path...).([]any)
	var objects []inputs
	for _, value := range values {
		if object, ok := value.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

func (in inputs) texts(path ...string) []string {
	values, _ := in.at(path...).([]any)
	var texts []string
	for _, value := range values {
		if text, ok := value.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// number is a value as a number: events and files have integers too.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	default:
		return 0, false
	}
}
