package changes

import (
	"time"

	"github.com/gridos/sharedinfra/internal/cost"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/stacks/contract"
)

// CheckSupportBy is CheckSupport by the dates of a test.
func (r *Report) CheckSupportBy(book support.Book, on time.Time) { r.checkSupport(book, on) }

// Weigh is weigh.
func (r *Report) Weigh(budget cost.Budget) { r.weigh(budget) }

// Strengthens is strengthens.
func Strengthens(old, made any) bool { return strengthens(old, made) }

// ContractVerdict is contractVerdict.
func ContractVerdict(c contract.Change, all, broken int) string {
	return contractVerdict(c, all, broken)
}

// Signed is signed.
func Signed(r cost.Range) string { return signed(r) }

// Remarks are remarks without quotes.
func (c Cost) Remarks() []string { return c.remarks(func(s string) string { return s }) }
