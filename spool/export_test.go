package spool

// Scheduled returns how many inboxes the agenda is to call.
func (s *Spool) Scheduled() int {
	s.agenda.mu.Lock()
	defer s.agenda.mu.Unlock()
	return len(s.agenda.queue)
}
