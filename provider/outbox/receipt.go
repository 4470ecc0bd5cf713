package outbox

import "errors"

// Receipt is what has become of a message for one of its members.
type Receipt uint8

// The receipts.
const (
	// Pending has not been sent, or not been answered.
	Pending Receipt = iota
	// Accepted was accepted by the gateway, for one device token at least. It is
	// no proof of delivery.
	Accepted
	// Rejected was refused for good, or nothing could be sent.
	Rejected
	// Expired was not accepted before the message's deadline.
	Expired
)

// String returns the word for r in the API.
func (r Receipt) String() string {
	switch r {
	case Pending:
		return "pending"
	case Accepted:
		return "accepted"
	case Rejected:
		return "rejected"
	case Expired:
		return "expired"
	}
	return "unknown"
}

// Receipts are those of the members of a shard, two bits each, by their rank.
// The zero value has none.
type Receipts struct {
	n    int
	bits []byte
}

// perByte is how many receipts a byte has.
const perByte = 4

// NewReceipts returns n receipts, all Pending.
func NewReceipts(n int) Receipts { return Receipts{n, make([]byte, receiptBytes(n))} }

func receiptBytes(n int) int { return (n + perByte - 1) / perByte }

// errReceipts says that bytes are no receipts.
var errReceipts = errors.New("stored receipts cannot be read")

// ParseReceipts reads n receipts as Bytes returned them. It does not keep b.
func ParseReceipts(n int, b []byte) (Receipts, error) {
	if n < 0 || len(b) != receiptBytes(n) || n%perByte != 0 && b[len(b)-1]>>(2*(n%perByte)) != 0 {
		return Receipts{}, errReceipts
	}
	return Receipts{n, append([]byte(nil), b...)}, nil
}

// Bytes returns the receipts as they are stored, which the caller may not
// change.
func (r *Receipts) Bytes() []byte { return r.bits }

// Len returns how many there are.
func (r *Receipts) Len() int { return r.n }

// Get returns the receipt of a rank, below Len.
func (r *Receipts) Get(rank int) Receipt {
	return Receipt(r.bits[rank/perByte] >> (2 * (rank % perByte)) & 3)
}

// Set sets the receipt of a rank, below Len.
func (r *Receipts) Set(rank int, to Receipt) {
	shift := 2 * (rank % perByte)
	r.bits[rank/perByte] = r.bits[rank/perByte]&^(3<<shift) | byte(to&3)<<shift
}

// Clone returns a copy.
func (r *Receipts) Clone() Receipts { return Receipts{r.n, append([]byte(nil), r.bits...)} }

// Count returns how many there are of each.
func (r *Receipts) Count() (c Tally) {
	for rank := range r.n {
		c[r.Get(rank)]++
	}
	return c
}

// Cursor returns the first rank that is Pending, Len if none is.
func (r *Receipts) Cursor() int {
	for rank := range r.n {
		if r.Get(rank) == Pending {
			return rank
		}
	}
	return r.n
}

// Tally is how many members have each receipt.
type Tally [4]int

// Minus returns the difference.
func (t Tally) Minus(u Tally) Tally {
	for i := range t {
		t[i] -= u[i]
	}
	return t
}
