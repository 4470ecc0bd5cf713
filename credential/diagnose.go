package credential

import (
	"fmt"
	"slices"
	"strings"
)

// Code names a kind of problem with a credential, such as "E-PASSWORD". The
// codes are stable: they are for scripts, searches and documentation. Those
// that start with "E-" stop the credential from working, those with "W-" are
// worth knowing.
type Code string

// The codes. The table behind Codes says what each means.
const (
	CodePassword    Code = "E-PASSWORD"
	CodeUnsupported Code = "E-UNSUPPORTED"
	CodeUnknown     Code = "E-UNKNOWN"
	CodeDamaged     Code = "E-DAMAGED"
	CodeTooLarge    Code = "E-TOO-LARGE"
	CodeMismatch    Code = "E-MISMATCH"
	CodeNoKey       Code = "E-NO-KEY"
	CodeNoCert      Code = "E-NO-CERT"
	CodeMany        Code = "E-MANY"
	CodeEnvironment Code = "E-ENV"
	CodeExpired     Code = "E-EXPIRED"
	CodeNotYet      Code = "E-NOT-YET"
	CodeRequest     Code = "E-CSR"
	CodeNotPush     Code = "E-NOT-PUSH"
	CodeP8          Code = "E-P8"
	CodeKeyID       Code = "E-KEYID"
	CodeKeyScope    Code = "E-KEY-ENV"
	CodeTopic       Code = "E-TOPIC"
	CodeWildcard    Code = "E-WILDCARD"
	CodeTwoActive   Code = "E-TWO-ACTIVE"
	CodeWeakKey     Code = "E-WEAK-KEY"

	WarnOldPKCS12    Code = "W-OLD-P12"
	WarnText         Code = "W-TEXT"
	WarnRepaired     Code = "W-REPAIRED"
	WarnExpires      Code = "W-EXPIRES"
	WarnTopicChanged Code = "W-TOPIC-CHANGED"
	WarnNoMAC        Code = "W-NO-MAC"
	WarnPermissions  Code = "W-PERMS"
	WarnKeyID        Code = "W-KEYID"
	WarnSHA1         Code = "W-SHA1"
	WarnIgnored      Code = "W-IGNORED"
)

// Warning reports whether c lets the credential work.
func (c Code) Warning() bool { return strings.HasPrefix(string(c), "W-") }

// CodeMeaning is a row of the table of codes.
type CodeMeaning struct {
	Code Code `json:"code"`
	// Sentence says what the code means, without a particular file.
	Sentence string `json:"sentence"`
	// Hint says what to do about it.
	Hint string `json:"hint"`
	// cause is what errors.Is finds in a Problem with this code. Nil for
	// most.
	cause error
}

// codes is the one table of codes, sentences and hints.
var codes = []CodeMeaning{
	{CodePassword, "The file did not open with this password.", "It is the password that was typed when the file was exported, not that of the Mac or of an Apple Account.", ErrPassword},
	{CodeUnsupported, "The file is encrypted or written in a way that is not read here.", "Export it again; the password may well be right.", nil},
	{CodeUnknown, "The file is none that push has to do with.", "Give a .cer, .pem, .p12, .p8 or .certSigningRequest file.", nil},
	{CodeDamaged, "The file is cut off or changed somewhere.", "Download or export it again, and copy the file rather than its text.", nil},
	{CodeTooLarge, "The file is larger than any credential.", "Check that it is the right file.", nil},
	{CodeMismatch, "The private key is not the one that the certificate was issued for.", "Use the key that made the certificate request, or make a new request and a new certificate.", ErrKeyMismatch},
	{CodeNoKey, "The file has a certificate and no private key.", "In Keychain Access choose My Certificates, select the certificate with its key underneath and export it as .p12, on the Mac that made the request.", ErrNoKey},
	{CodeNoCert, "The file has a private key and no certificate: this is half of the pair.", "Join it with the certificate that the portal issued: herald cert assemble --cert FILE.cer --key FILE.", ErrNoCertificate},
	{CodeMany, "The file holds several identities.", "Choose one by its number with --identity, or name the topic and the environment.", ErrManyIdentities},
	{CodeEnvironment, "The certificate is for the other environment.", "Use the other gateway, or a certificate for this one. The gateway's word for it is BadCertificateEnvironment.", nil},
	{CodeExpired, "The certificate is no longer valid.", "Renew it: make a new request and have the portal issue a new certificate. The old one may overlap with it.", nil},
	{CodeNotYet, "The certificate is not valid yet.", "Check the clock of this machine.", nil},
	{CodeRequest, "The file is a certificate request, not a certificate.", "Upload it on the portal, and use the .cer file that comes back.", nil},
	{CodeNotPush, "The file is not a push certificate.", "Use the file aps_….cer that the portal issued for push.", ErrNotPush},
	{CodeP8, "The file is not a provider key (.p8).", "Use the file AuthKey_….p8 as it was downloaded.", nil},
	{CodeKeyID, "The key ID or team ID is not one.", "Both are 10 upper-case letters and digits: the key ID is in the name AuthKey_<key ID>.p8, the team ID on the membership page.", nil},
	{CodeKeyScope, "The provider key is for the other environment.", "Use a key for this environment. The gateway's word for it is BadEnvironmentKeyInToken.", nil},
	{CodeTopic, "The certificate does not allow this topic.", "Use one of the topics of the certificate, or the certificate of the other app. The gateway's word for it is TopicDisallowed.", nil},
	{CodeWildcard, "A wildcard App ID can not have push: a topic is one bundle ID.", "Add an explicit App ID.", nil},
	{CodeTwoActive, "Two certificates are active for this app and environment, and no more are possible.", "Revoke one of them.", nil},
	{CodeWeakKey, "The key is of a kind or size that is not accepted.", "Make an RSA key with 2048 bits, or ECDSA on P-256, and a new request with it.", ErrWeakKey},

	{WarnOldPKCS12, "The PKCS#12 file is encrypted with RC2 or 3DES, as Keychain Access writes it.", "It is read here. herald cert passwd encrypts it anew.", nil},
	{WarnText, "The text was saved or joined in a way that other tools may refuse.", "It is read here. herald cert convert writes it cleanly.", nil},
	{WarnRepaired, "The text was damaged and could be repaired.", "It is read here. herald cert convert writes it cleanly.", nil},
	{WarnExpires, "The certificate expires soon.", "Renew it: make a new request and have the portal issue a new certificate. The old one may overlap with it.", nil},
	{WarnTopicChanged, "The topic differs from the one in use: devices that are enrolled will stop receiving.", "Renew the certificate instead of creating a new one; --force takes the new topic.", nil},
	{WarnNoMAC, "The PKCS#12 file has no checksum: nobody can tell whether it was changed.", "Export it again.", nil},
	{WarnPermissions, "Others on this machine can read the file, which holds a private key.", "chmod 600 takes their access away.", nil},
	{WarnKeyID, "The file's name says another key ID, or none.", "The key ID is shown on the portal's page of keys.", nil},
	{WarnSHA1, "The certificate is signed with SHA-1, as before 2017.", "Renew it: this signature is refused today.", nil},
	{WarnIgnored, "The file holds more than it needs to.", "What is not needed was passed over.", nil},
}

// Codes returns the table of codes, in the order of the documentation.
func Codes() []CodeMeaning { return slices.Clone(codes) }

func (c Code) meaning() CodeMeaning {
	for _, m := range codes {
		if m.Code == c {
			return m
		}
	}
	return CodeMeaning{Code: c}
}

// Problem is something wrong with a credential, said to the person who can
// put it right. It never holds key material or a password.
//
// A Problem is an error, and errors.Is finds ErrPassword, ErrKeyMismatch,
// ErrNoKey, ErrNoCertificate, ErrManyIdentities, ErrNotPush and ErrWeakKey in
// those with their codes.
type Problem struct { //nolint:errname // it is also a warning
	// Code names it.
	Code Code `json:"code"`
	// Message says what was found, as one or more sentences.
	Message string `json:"message"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
}

// NewProblem returns a problem with the hint that its code has. An empty
// message stands for the code's own sentence.
func NewProblem(code Code, message string) Problem {
	m := code.meaning()
	if message == "" {
		message = m.Sentence
	}
	return Problem{Code: code, Message: message, Hint: m.Hint}
}

func problemf(code Code, format string, args ...any) Problem {
	return NewProblem(code, fmt.Sprintf(format, args...))
}

func (p Problem) withHint(format string, args ...any) Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

// Error returns the code and the message.
func (p Problem) Error() string { return string(p.Code) + ": " + p.Message }

// Unwrap returns the error that the code stands for, if there is one.
func (p Problem) Unwrap() error { return p.Code.meaning().cause }

// firstError returns the first of problems that is no warning, nil if there is
// none.
func firstError(problems []Problem) error {
	for _, p := range problems {
		if !p.Code.Warning() {
			return p
		}
	}
	return nil
}

// printable makes text from a file fit for a terminal: without control
// characters and the marks that turn the direction of writing, and bounded.
func printable(s string) string {
	const limit = 200
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ', 0x7f <= r && r < 0xa0, // control characters
			0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f, r == 0xfeff:
			return '\ufffd'
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
