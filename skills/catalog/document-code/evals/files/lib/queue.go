package queue

// Queue holds what waits.
type Queue struct{ items []string }

func (q *Queue) Push(item string) { q.items = append(q.items, item) }

// Len is how many wait.
func (q *Queue) Len() int { return len(q.items) }

func inside() {}
