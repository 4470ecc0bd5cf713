package portal

import "fmt"

// Code is the stable name of a refusal, for programs and for people who search.
type Code string

// The codes of refusals.
const (
	CodeTeam        Code = "E-TEAM"        // no such team
	CodeName        Code = "E-NAME"        // not a name
	CodeApp         Code = "E-APP"         // no such App ID
	CodeBundleID    Code = "E-BUNDLE-ID"   // not a bundle ID
	CodeTaken       Code = "E-TAKEN"       // registered already
	CodeWildcard    Code = "E-WILDCARD"    // push for a wildcard App ID
	CodeRequest     Code = "E-CSR"         // the certificate signing request is not good
	CodeTwoActive   Code = "E-TWO-ACTIVE"  // a third certificate
	CodeTooMany     Code = "E-TOO-MANY"    // certificates in a short time
	CodeKeyReused   Code = "E-KEY-REUSED"  // another team's public key
	CodeCertificate Code = "E-CERTIFICATE" // no such certificate
	CodeKey         Code = "E-KEY"         // no such key
	CodeKeyQuota    Code = "E-KEY-QUOTA"   // as many keys as there may be
	CodeKeyScope    Code = "E-KEY-SCOPE"   // a scope that cannot be
	CodeRelatedKey  Code = "E-RELATED-KEY" // a related key that cannot be
	CodeDevice      Code = "E-DEVICE"      // no such device
	CodeEnrolment   Code = "E-ENROLMENT"   // no such enrolment code
	CodeReason      Code = "E-REASON"      // not a reason for a revocation
	CodeNotEmpty    Code = "E-NOT-EMPTY"   // a restore over what is there
	CodeBackup      Code = "E-BACKUP"      // not a backup
)

// Refusal says that the portal refuses a request because of what was asked:
// the one who asks can mend it.
type Refusal struct { //nolint:errname // the field's word
	Code Code
	// Err says what was found.
	Err error
	// Hint says what to do, as a sentence; it may be empty.
	Hint string
}

func refuse(code Code, hint, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Error says what was wrong.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }
