package changes

import (
	"time"

	"github.com/gridos/sharedinfra/internal/support"
)

// CheckSupportBy is CheckSupport by the dates of a test.
func (r *Report) CheckSupportBy(book support.Book, on time.Time) { r.checkSupport(book, on) }
