/* The engine in C: the same trackers and references as core.py, at a fraction of the cost.
 *
 * What makes a use cheap:
 * - A reference comes from a free list and reads the monotonic clock itself: it allocates nothing.
 * - `with` needs no bound methods: what a reference gives for __enter__ and __exit__ is the reference, which is
 *   called without arguments to enter and with three to exit.
 * - The figures of a key are a struct that is written in place. No Python code runs while one is, so that with
 *   the global interpreter lock each begin, each end and each snapshot is atomic. There is no other lock, thus
 *   signal handlers, finalizers and forked processes may use a tracker in the middle of anything.
 *
 * What has to allocate (a new key, more parts of histograms, more references, a snapshot) is called through a
 * function in aside.py, so that whoever attributes allocations to lines of Python sees the tracker's line and not
 * the user's. Python code can run then: what is about to be written is looked at again afterwards.
 */

#ifdef GOREF_ABI3
#define Py_LIMITED_API 0x030c0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <time.h>
#ifdef __linux__
#include <dlfcn.h>
#endif
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif
#ifdef Py_LIMITED_API /* whose functions take no other pointers */
#define Py_TYPE(object) Py_TYPE((PyObject *)(object))
#define Py_INCREF(object) Py_INCREF((PyObject *)(object))
#define Py_XINCREF(object) Py_XINCREF((PyObject *)(object))
#undef Py_DECREF
#define Py_DECREF(object) Py_DECREF((PyObject *)(object))
#define Py_XDECREF(object) Py_XDECREF((PyObject *)(object))
#endif
#if PY_VERSION_HEX < 0x030c0000
#include <structmember.h>
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_READONLY READONLY
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define LIKELY(condition) (condition)
#define UNLIKELY(condition) (condition)
#endif

/* A counter of the histogram; when it is full, the carry counts on. Tests make it small, to see carries. */
#ifndef GOREF_COUNTER
#define GOREF_COUNTER uint32_t
#endif
typedef GOREF_COUNTER Counter;

#define BUCKETS_PER_BLOCK 8
#define BLOCKS 61 /* durations of 63 bits fill 488 buckets */
#define BUCKETS (BLOCKS * BUCKETS_PER_BLOCK)
#define BLOCKS_PER_CHUNK 256
#define REFILL 16     /* references made at once when the free list is empty */
#define LONGEST_FREE_LIST 128
#define RECENT 16 /* a power of two */

typedef Counter Counts[BUCKETS_PER_BLOCK];

/* A part of a histogram: an octave of it. */
typedef struct Block {
    struct Block *next;
    int number;
    Counts counts;
} Block;

/* Blocks are needed when durations happen to be new, which must not be seen: they are allocated many at once. */
typedef struct Chunk {
    struct Chunk *next;
    Block blocks[BLOCKS_PER_CHUNK];
} Chunk;

/* In the free list a reference keeps its type, but where the interpreter counts objects. */
#if !defined(Py_LIMITED_API) && !defined(Py_REF_DEBUG) && !defined(Py_TRACE_REFS)
#define REFS_KEEP_TYPE 1
#else
#define REFS_KEEP_TYPE 0
#endif

/* ---- the clock ------------------------------------------------------------------------------------------ */

#if defined(_WIN32)
static int64_t ticks_per_s;

static int
clock_prepare(void)
{
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency); /* cannot fail from Windows XP on */
    ticks_per_s = frequency.QuadPart;
    return 0;
}

static inline int64_t
clock_now_ns(void)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    int64_t whole_s = ticks.QuadPart / ticks_per_s;
    return whole_s * 1000000000 + ticks.QuadPart % ticks_per_s * 1000000000 / ticks_per_s;
}
#elif defined(__APPLE__)
static int
clock_prepare(void)
{
    return 0;
}

static inline int64_t
clock_now_ns(void)
{
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW); /* CLOCK_MONOTONIC has microseconds there */
}
#else
static int (*read_clock)(clockid_t, struct timespec *) = clock_gettime;

static int
clock_prepare(void)
{
    struct timespec now;
#ifdef __linux__
    /* The C library's function only calls this one: a twentieth of a use is the way there. */
    void *kernel = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *function = kernel ? dlsym(kernel, "__vdso_clock_gettime") : NULL;
    if (function != NULL)
        memcpy(&read_clock, &function, sizeof(function));
#endif
    if (read_clock(CLOCK_MONOTONIC, &now) == 0)
        return 0;
    PyErr_SetFromErrno(PyExc_ImportError);
    return -1;
}

static inline int64_t
clock_now_ns(void)
{
    struct timespec now;
    read_clock(CLOCK_MONOTONIC, &now); /* it worked when the module was loaded */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
#endif

/* ---- bits ----------------------------------------------------------------------------------------------- */

static inline int
bits_in(uint64_t word)
{
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_popcountll(word);
#else
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(word * 0x0101010101010101u >> 56);
#endif
}

static inline int
highest_bit(uint64_t word)
{
#if defined(__GNUC__) || defined(__clang__)
    return 63 - __builtin_clzll(word);
#elif defined(_MSC_VER) && defined(_WIN64)
    unsigned long index;
    _BitScanReverse64(&index, word);
    return (int)index;
#else
    int index = 0;
    while (word >>= 1)
        index++;
    return index;
#endif
}

/* The bucket of a duration: see entry.py, which reads them. */
static inline int
bucket_of(int64_t duration_ns)
{
    int octave = duration_ns > 15 ? highest_bit((uint64_t)duration_ns) - 3 : 0;
    return octave * BUCKETS_PER_BLOCK + (int)(duration_ns >> octave);
}

/* ---- what a module holds -------------------------------------------------------------------------------- */

typedef struct Ref Ref;

typedef struct {
    PyObject *module; /* borrowed */
    int is_on;
    int free_refs;
    Ref *free;
    int free_blocks;
    Block *free_block;
    Chunk *chunks;
    Ref *uncounted; /* what ref() returns while tracking is disabled */
    PyTypeObject *tracker_type, *ref_type, *ledger_type, *copy_type, *timed_type, *recorder_type, *gate_type,
        *stub_type, *uncounted_type;
    PyObject *entry_type, *snapshot_type;           /* classes in Python */
    PyObject *aside, *warn_of_second_end, *track;       /* functions in Python; track is loaded on first use */
    PyObject *add_ledger, *add_blocks, *refill, *snapshot;   /* functions in C that are called by aside */
    PyObject *native_clock, *time_module, *invalid_value_error;
} State;

/* What the ledgers of a tracker share. It does not keep the tracker alive, so that references are in no cycle. */
typedef struct {
    Py_ssize_t users;
    State *state;
    struct Tracker *tracker; /* NULL once it is gone: nobody can read its figures any more */
    PyObject *warned;        /* the keys whose second end was told */
} Scope;

/* The figures of one key since the last reset. */
typedef struct {
    PyObject_HEAD
    PyObject *key;
    Scope *scope;
    Py_ssize_t index; /* the place among the keys of its tracker: ledgers are never removed */
    uint64_t begun, ended;
    uint64_t sum_ns, sum_carry;
    int64_t min_ns, max_ns;
    uint64_t mask;   /* which blocks there are */
    Block *blocks;
    Block *recent[4]; /* those that were written last, found by their numbers: most uses take one of few octaves */
    uint32_t *carry; /* how often each counter was full, for all buckets; NULL until one was */
} Ledger;

/* A span as the ring holds it. */
typedef struct {
    PyObject *path, *key;
    int64_t begin_ns, end_ns;
    unsigned long thread;
} Slot;

typedef struct {
    PyObject_HEAD
    Slot *slots;
    Py_ssize_t capacity;
    Py_ssize_t next; /* the slot that is written next */
    uint64_t total;
    State *state;
} Recorder;

typedef struct Tracker {
    PyObject_HEAD
    State *state;
    PyObject *ledgers; /* by key; a reset makes a new one */
    uint64_t epoch;    /* how many resets there were */
    Ledger *recent[RECENT]; /* found by the address of their own key, borrowed from `ledgers` */
    PyObject *clock;   /* NULL for the clock of this module */
    Recorder *recorder;
    Scope *scope;
    PyObject *parent, *children, *name, *path;
    PyObject *module; /* so that the state lives as long as it is used */
    PyObject *weakrefs;
} Tracker;

struct Ref {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    union {
        Ledger *ledger; /* NULL when nothing is counted */
        Ref *next;      /* while it is in the free list */
    };
    int64_t begin_ns;
    char is_ended;
    char kind;
};

/* The figures of all keys of a tracker at one moment. */
typedef struct {
    PyObject_HEAD
    State *state;
    PyObject *ledgers; /* only grows, so that the first `size` items are the keys of that moment */
    Py_ssize_t size;
    size_t *offsets;
    char *records;
} Copy;

typedef struct {
    uint64_t begun, ended;
    uint64_t sum_ns, sum_carry;
    int64_t min_ns, max_ns;
    uint64_t mask;
    uint64_t has_carry;
} Record; /* followed by the carry, if there is one, and by the counters of the blocks, sorted */

/* What a plain function becomes that counts its calls. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    Tracker *tracker;
    PyObject *key;
    Ledger *ledger; /* of the last call */
    uint64_t epoch; /* in which that was */
    PyObject *dict, *weakrefs;
} Timed;

/* What __enter__ and __exit__ are. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *name;
} Gate;

/* What those of a reference that counts nothing are. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *result; /* borrowed: it lives as long as the module */
} Stub;

/* The ways through void keep compilers quiet about methods that take more than two arguments. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static State *
state_of(PyObject *module)
{
    return (State *)PyModule_GetState(module);
}

/* Store an attribute of another module. */
static int
take(PyObject **where, const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    *where = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return *where ? 0 : -1;
}

/* ---- ledgers -------------------------------------------------------------------------------------------- */

static void
scope_release(Scope *self)
{
    if (self == NULL || --self->users)
        return;
    Py_XDECREF(self->warned);
    PyMem_Free(self);
}

static void
ledger_dealloc(Ledger *self)
{
    PyTypeObject *type = Py_TYPE(self);
    State *state = self->scope->state;
    while (self->blocks != NULL) {
        Block *block = self->blocks;
        self->blocks = block->next;
        block->next = state->free_block;
        state->free_block = block;
        state->free_blocks++;
    }
    scope_release(self->scope);
    Py_XDECREF(self->key);
    PyMem_Free(self->carry);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Entries name their ledger as the origin of their figures; a copy of one by pickle has another origin. */
static PyObject *
ledger_reduce(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(nothing))
{
    return Py_BuildValue("O()", &PyBaseObject_Type);
}

static PyMethodDef ledger_methods[] = {
    {"__reduce__", ledger_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ledger_slots[] = {
    {Py_tp_doc, "The figures of one key."},
    {Py_tp_dealloc, ledger_dealloc},
    {Py_tp_methods, ledger_methods},
    {0, NULL},
};

static PyType_Spec ledger_spec = {
    .name = "pytest_goref.tracker._speed.Ledger",
    .basicsize = sizeof(Ledger),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ledger_slots,
};

/* Allocate more blocks. Return 0, or -1 with MemoryError set. */
static int
blocks_add(State *state)
{
    Chunk *chunk = PyMem_Malloc(sizeof(Chunk));
    if (chunk == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    chunk->next = state->chunks;
    state->chunks = chunk;
    for (int i = 0; i < BLOCKS_PER_CHUNK; i++) {
        chunk->blocks[i].next = state->free_block;
        state->free_block = &chunk->blocks[i];
    }
    state->free_blocks += BLOCKS_PER_CHUNK;
    return 0;
}

/* add_blocks(None, None): called by aside. */
static PyObject *
speed_add_blocks(PyObject *module, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    if (blocks_add(state_of(module)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Call step(owner, what) through the function in Python. */
static PyObject *
call_aside(State *state, PyObject *step, PyObject *owner, PyObject *what)
{
    if (UNLIKELY(state->aside == NULL)) /* the interpreter is shutting down */
        return PyErr_Format(PyExc_RuntimeError, "the tracker is gone: this interpreter is shutting down");
    return PyObject_CallFunctionObjArgs(state->aside, step, owner, what, NULL);
}

/* Allocate more blocks aside, and whatever error there is meanwhile, such as that of a signal handler, try again.
   Return -1 when an error is set: there may be blocks nevertheless. */
static int
blocks_add_aside(State *state)
{
    if (state->aside == NULL) /* the interpreter is shutting down */
        return blocks_add(state);
    PyObject *done = call_aside(state, state->add_blocks, Py_None, Py_None);
    if (done != NULL) {
        Py_DECREF(done);
        return 0;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    blocks_add(state);
    PyErr_Restore(type, error, traceback);
    return -1;
}

/* Return a block, made on first use, or NULL with MemoryError set. The status is -1 when an error is set. */
static Block *
ledger_block(State *state, Ledger *self, int number, int *status)
{
    for (;;) {
        Block *block = self->blocks;
        while (block != NULL && block->number != number)
            block = block->next;
        if (block != NULL)
            return block;
        block = state->free_block;
        if (block != NULL) {
            state->free_block = block->next;
            state->free_blocks--;
            *block = (Block){.next = self->blocks, .number = number};
            self->blocks = block;
            self->mask |= (uint64_t)1 << number;
            return block;
        }
        *status |= blocks_add_aside(state);
        if (*status < 0 && state->free_block == NULL)
            return NULL;
    }
}

/* Count one bucket more; a full counter begins anew and is carried. Return -1 with MemoryError set. */
static int
ledger_carry(Ledger *self, Counter *counter, int bucket)
{
    if (self->carry == NULL) {
        self->carry = PyMem_Calloc(BUCKETS, sizeof(uint32_t));
        if (self->carry == NULL) {
            --*counter;
            PyErr_NoMemory();
            return -1;
        }
    }
    self->carry[bucket]++;
    return 0;
}

/* End a use. Return 0, or -1 with an error set; the use is counted unless there is no memory for it. */
static inline int
ledger_end(State *state, Ledger *self, int64_t duration_ns)
{
    int status = 0;
    if (UNLIKELY(duration_ns < 0)) /* a clock that went back */
        duration_ns = 0;
    int bucket = bucket_of(duration_ns);
    int number = bucket / BUCKETS_PER_BLOCK;
    Block **recent = self->recent + number % 4;
    Block *block = *recent;
    if (UNLIKELY(block == NULL || block->number != number)) {
        block = ledger_block(state, self, number, &status);
        if (block == NULL)
            return -1;
        *recent = block;
    }
    /* From here on no Python code runs. */
    Counter *counter = block->counts + bucket % BUCKETS_PER_BLOCK;
    if (UNLIKELY(++*counter == 0) && ledger_carry(self, counter, bucket) < 0)
        return -1;
    if (duration_ns < self->min_ns)
        self->min_ns = duration_ns;
    if (duration_ns > self->max_ns)
        self->max_ns = duration_ns;
    self->sum_ns += (uint64_t)duration_ns;
    if (UNLIKELY(self->sum_ns < (uint64_t)duration_ns))
        self->sum_carry++;
    self->ended++;
    return status;
}

/* ---- recorders ------------------------------------------------------------------------------------------ */

static inline void
recorder_add(Recorder *self, PyObject *path, PyObject *key, int64_t begin_ns, int64_t end_ns)
{
    Slot *slot = self->slots + self->next;
    PyObject *old_path = slot->path, *old_key = slot->key;
    slot->path = Py_NewRef(path);
    slot->key = Py_NewRef(key);
    slot->begin_ns = begin_ns;
    slot->end_ns = end_ns;
    slot->thread = PyThread_get_thread_ident();
    if (++self->next == self->capacity)
        self->next = 0;
    self->total++;
    Py_XDECREF(old_path); /* tuples of exact strings, and such strings: no Python code runs */
    Py_XDECREF(old_key);
}

static PyObject *
recorder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", NULL};
    Py_ssize_t capacity = 10000;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:Recorder", names, &capacity))
        return NULL;
    State *state = PyType_GetModuleState(type);
    if (capacity < 1 || (size_t)capacity > PY_SSIZE_T_MAX / sizeof(Slot))
        return PyErr_Format(
            state->invalid_value_error, "the capacity of a recorder must be 1 or more, got %zd", capacity);
    Recorder *self = PyObject_New(Recorder, type);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->capacity = capacity;
    self->next = 0;
    self->total = 0;
    self->slots = PyMem_Calloc((size_t)capacity, sizeof(Slot));
    if (self->slots == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static PyObject *
recorder_clear(Recorder *self, PyObject *Py_UNUSED(nothing))
{
    self->total = 0;
    self->next = 0;
    for (Py_ssize_t i = 0; i < self->capacity; i++) {
        Py_CLEAR(self->slots[i].path);
        Py_CLEAR(self->slots[i].key);
    }
    Py_RETURN_NONE;
}

static void
recorder_dealloc(Recorder *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->slots != NULL)
        Py_DECREF(recorder_clear(self, NULL));
    PyMem_Free(self->slots);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *
recorder_spans(Recorder *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *span_type;
    if (take(&span_type, "pytest_goref.tracker.spans", "Span") < 0)
        return NULL;
    /* A copy first: what makes spans may run Python code that records. */
    size_t size = self->total < (uint64_t)self->capacity ? (size_t)self->total : (size_t)self->capacity;
    size_t first = self->total < (uint64_t)self->capacity ? 0 : (size_t)self->next;
    Slot *slots = PyMem_Malloc(size ? size * sizeof(Slot) : 1);
    if (slots == NULL) {
        Py_DECREF(span_type);
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < size; i++) {
        slots[i] = self->slots[(first + i) % (size_t)self->capacity];
        Py_INCREF(slots[i].path);
        Py_INCREF(slots[i].key);
    }
    PyObject *spans = PyList_New(0);
    for (size_t i = 0; i < size; i++) {
        if (spans != NULL) {
            Slot *slot = slots + i;
            PyObject *span = PyObject_CallFunction(span_type, "OOLLk", slot->path, slot->key, (long long)slot->begin_ns,
                                                   (long long)slot->end_ns, slot->thread);
            if (span == NULL || PyList_Append(spans, span) < 0)
                Py_CLEAR(spans);
            Py_XDECREF(span);
        }
        Py_DECREF(slots[i].path);
        Py_DECREF(slots[i].key);
    }
    PyMem_Free(slots);
    Py_DECREF(span_type);
    return spans;
}

static PyObject *
recorder_get_capacity(Recorder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->capacity);
}

static PyMethodDef recorder_methods[] = {
    {"spans", (PyCFunction)recorder_spans, METH_NOARGS,
     "spans($self, /)\n--\n\nReturn the last spans, the one that ended first at the front."},
    {"clear", (PyCFunction)recorder_clear, METH_NOARGS, "clear($self, /)\n--\n\nForget every span."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef recorder_getset[] = {
    {"capacity", (getter)recorder_get_capacity, NULL, "How many spans are kept.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot recorder_slots[] = {
    {Py_tp_doc, "Recorder(capacity=10000)\n--\n\nA ring of the last spans: the references that ended, with their "
                "stamps. Give it to Tracker.record.\n\nArgs:\n    capacity: how many spans are kept; older ones are "
                "dropped.\n\nRaises:\n    InvalidValueError: the capacity is below 1."},
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_methods, recorder_methods},
    {Py_tp_getset, recorder_getset},
    {0, NULL},
};

static PyType_Spec recorder_spec = {
    .name = "pytest_goref.tracker._speed.Recorder",
    .basicsize = sizeof(Recorder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = recorder_slots,
};

/* ---- copies of figures ---------------------------------------------------------------------------------- */

static size_t
record_size(const Ledger *ledger)
{
    size_t blocks = (size_t)bits_in(ledger->mask) * sizeof(Counts);
    size_t carry = ledger->carry ? BUCKETS * sizeof(uint32_t) : 0;
    return (sizeof(Record) + carry + blocks + 7) & ~(size_t)7;
}

static void
record_write(Record *self, const Ledger *ledger)
{
    char *end = (char *)(self + 1);
    *self = (Record){ledger->begun,  ledger->ended,  ledger->sum_ns, ledger->sum_carry,
                     ledger->min_ns, ledger->max_ns, ledger->mask,   ledger->carry != NULL};
    if (ledger->carry != NULL) {
        memcpy(end, ledger->carry, BUCKETS * sizeof(uint32_t));
        end += BUCKETS * sizeof(uint32_t);
    }
    for (const Block *block = ledger->blocks; block != NULL; block = block->next) {
        int place = bits_in(ledger->mask & (((uint64_t)1 << block->number) - 1));
        memcpy(end + (size_t)place * sizeof(Counts), block->counts, sizeof(Counts));
    }
}

static PyObject *
copy_of(State *state, PyObject *ledgers)
{
    Copy *self = PyObject_New(Copy, state->copy_type);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->ledgers = Py_NewRef(ledgers);
    self->size = PyDict_Size(ledgers);
    self->records = NULL;
    self->offsets = PyMem_Malloc(((size_t)self->size + 1) * sizeof(size_t));
    PyObject *ledger;
    Py_ssize_t position = 0;
    size_t size = 0;
    if (self->offsets != NULL) {
        for (Py_ssize_t i = 0; PyDict_Next(ledgers, &position, NULL, &ledger); i++) {
            self->offsets[i] = size;
            size += record_size((Ledger *)ledger);
        }
        self->records = PyMem_Malloc(size ? size : 1);
    }
    if (self->records == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    position = 0; /* no Python code has run since the sizes were added up */
    for (Py_ssize_t i = 0; PyDict_Next(ledgers, &position, NULL, &ledger); i++)
        record_write((Record *)(self->records + self->offsets[i]), (Ledger *)ledger);
    return (PyObject *)self;
}

static void
copy_dealloc(Copy *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->ledgers);
    PyMem_Free(self->offsets);
    PyMem_Free(self->records);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Return the ledger of a key that was there, borrowed; NULL without an error when it was not. */
static Ledger *
copy_find(Copy *self, PyObject *key)
{
    Ledger *ledger = (Ledger *)PyDict_GetItemWithError(self->ledgers, key);
    return ledger != NULL && ledger->index < self->size ? ledger : NULL;
}

static Record *
copy_record(Copy *self, const Ledger *ledger)
{
    return (Record *)(self->records + self->offsets[ledger->index]);
}

static int
add_bucket(PyObject *buckets, int bucket, uint64_t count)
{
    PyObject *name = PyLong_FromLong(bucket);
    PyObject *number = PyLong_FromUnsignedLongLong(count);
    int status = name && number ? PyDict_SetItem(buckets, name, number) : -1;
    Py_XDECREF(name);
    Py_XDECREF(number);
    return status;
}

static PyObject *
record_buckets(const Record *self)
{
    PyObject *buckets = PyDict_New();
    const uint32_t *carry = self->has_carry ? (const uint32_t *)(self + 1) : NULL;
    const Counts *counts = (const Counts *)((const char *)(self + 1) + (carry ? BUCKETS * sizeof(uint32_t) : 0));
    for (int i = 0; buckets != NULL && i < BUCKETS; i++) {
        if (!(self->mask >> (i / BUCKETS_PER_BLOCK) & 1)) {
            i += BUCKETS_PER_BLOCK - 1;
            continue;
        }
        uint64_t count = (*counts)[i % BUCKETS_PER_BLOCK];
        if (carry != NULL)
            count += (uint64_t)carry[i] << (8 * sizeof(Counter));
        if (count && add_bucket(buckets, i, count) < 0)
            Py_CLEAR(buckets);
        if (i % BUCKETS_PER_BLOCK == BUCKETS_PER_BLOCK - 1)
            counts++;
    }
    return buckets;
}

/* The sum of durations as a Python integer, which may have more than 64 bits. */
static PyObject *
record_sum(const Record *self)
{
    PyObject *low = PyLong_FromUnsignedLongLong(self->sum_ns);
    if (low == NULL || !self->sum_carry)
        return low;
    PyObject *carry = PyLong_FromUnsignedLongLong(self->sum_carry);
    PyObject *bits = PyLong_FromLong(64);
    PyObject *high = carry && bits ? PyNumber_Lshift(carry, bits) : NULL;
    PyObject *sum = high ? PyNumber_Or(high, low) : NULL;
    Py_XDECREF(carry);
    Py_XDECREF(bits);
    Py_XDECREF(high);
    Py_DECREF(low);
    return sum;
}

static PyObject *
record_figures(const Record *self)
{
    PyObject *sum = record_sum(self);
    if (sum == NULL)
        return NULL;
    long long active = (long long)(self->begun - self->ended);
    if (!self->ended)
        return Py_BuildValue("LiNOO", active, 0, sum, Py_None, Py_None);
    return Py_BuildValue("LKNLL", active, (unsigned long long)self->ended, sum, (long long)self->min_ns,
                         (long long)self->max_ns);
}

/* copy[key]: the log of a key as core.py makes it, an entry without events. */
static PyObject *
copy_subscript(Copy *self, PyObject *key)
{
    Ledger *ledger = copy_find(self, key);
    if (ledger == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    const Record *record = copy_record(self, ledger);
    Py_INCREF(ledger);
    PyObject *figures = record_figures(record);
    PyObject *buckets = figures ? record_buckets(record) : NULL;
    PyObject *entry = NULL;
    if (buckets != NULL)
        entry = PyObject_CallFunctionObjArgs(self->state->entry_type, figures, buckets, ledger, NULL);
    Py_DECREF(ledger);
    Py_XDECREF(figures);
    Py_XDECREF(buckets);
    return entry ? Py_BuildValue("[N]", entry) : NULL;
}

static Py_ssize_t
copy_length(Copy *self)
{
    return self->size;
}

static int
copy_contains(Copy *self, PyObject *key)
{
    if (copy_find(self, key) != NULL)
        return 1;
    return PyErr_Occurred() ? -1 : 0;
}

/* Return a list of the keys, of those only to which something happened since if there is an earlier copy. */
static PyObject *
copy_keys(Copy *self, Copy *earlier)
{
    PyObject *keys = PyList_New(0);
    PyObject *key, *value;
    Py_ssize_t position = 0;
    Py_ssize_t known = earlier ? earlier->size : 0;
    for (Py_ssize_t i = 0; keys != NULL && i < self->size; i++) {
        if (!PyDict_Next(self->ledgers, &position, &key, &value))
            break;
        if (i < known) {
            const Record *now = copy_record(self, (Ledger *)value), *then = copy_record(earlier, (Ledger *)value);
            if (now->begun == then->begun && now->ended == then->ended)
                continue;
        }
        if (PyList_Append(keys, key) < 0)
            Py_CLEAR(keys);
    }
    return keys;
}

static PyObject *
copy_touched_since(Copy *self, PyObject *earlier)
{
    int is_comparable =
        Py_IS_TYPE(earlier, self->state->copy_type) && ((Copy *)earlier)->ledgers == self->ledgers;
    return copy_keys(self, is_comparable ? (Copy *)earlier : NULL);
}

static PyObject *
copy_iter(Copy *self)
{
    PyObject *keys = copy_keys(self, NULL);
    PyObject *iterator = keys ? PyObject_GetIter(keys) : NULL;
    Py_XDECREF(keys);
    return iterator;
}

/* Pickled and copied as a dictionary of logs, which every engine reads. */
static PyObject *
copy_reduce(Copy *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *logs = PyDict_New();
    PyObject *keys = logs ? copy_keys(self, NULL) : NULL;
    for (Py_ssize_t i = 0; keys != NULL && i < self->size; i++) {
        PyObject *key = PyList_GetItem(keys, i);
        PyObject *log = key ? copy_subscript(self, key) : NULL;
        if (log == NULL || PyDict_SetItem(logs, key, log) < 0)
            Py_CLEAR(keys);
        Py_XDECREF(log);
    }
    PyObject *reduced = keys ? Py_BuildValue("O(O)", &PyDict_Type, logs) : NULL;
    Py_XDECREF(logs);
    Py_XDECREF(keys);
    return reduced;
}

static PyMethodDef copy_methods[] = {
    {"touched_since", (PyCFunction)copy_touched_since, METH_O,
     "touched_since($self, earlier, /)\n--\n\nReturn the keys to which something happened since an earlier copy."},
    {"__reduce__", (PyCFunction)copy_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot copy_slots[] = {
    {Py_tp_doc, "The figures of all keys of a tracker at one moment, read like a dictionary of logs."},
    {Py_tp_dealloc, copy_dealloc},
    {Py_tp_iter, copy_iter},
    {Py_tp_methods, copy_methods},
    {Py_mp_subscript, copy_subscript},
    {Py_mp_length, copy_length},
    {Py_sq_contains, copy_contains},
    {0, NULL},
};

static PyType_Spec copy_spec = {
    .name = "pytest_goref.tracker._speed.Copy",
    .basicsize = sizeof(Copy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = copy_slots,
};

/* ---- references ----------------------------------------------------------------------------------------- */

static PyObject *ref_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names);

static Ref *
ref_allocate(PyTypeObject *type)
{
    Ref *self = PyObject_New(Ref, type);
    if (self == NULL)
        return NULL;
    self->vectorcall = ref_vectorcall;
    self->ledger = NULL;
    self->begin_ns = 0;
    self->is_ended = self->kind = 0;
    return self;
}

/* Put a reference into the free list, or free it when that is long or the interpreter is shutting down. */
static inline void
ref_release(State *state, Ref *self)
{
    if (LIKELY(state->aside != NULL && state->free_refs < LONGEST_FREE_LIST)) {
        self->next = state->free;
        state->free = self;
        state->free_refs++;
        if (REFS_KEEP_TYPE)
            return;
    }
    else {
        PyObject_Free(self);
    }
    Py_DECREF(state->ref_type);
}

/* refill(None, None): called by aside. */
static PyObject *
speed_refill(PyObject *module, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    State *state = state_of(module);
    for (int i = 0; i < REFILL; i++) {
        Ref *made = ref_allocate(state->ref_type);
        if (made == NULL)
            return NULL;
        ref_release(state, made);
    }
    Py_RETURN_NONE;
}

/* Return a reference from the free list, or NULL with an error set. */
static inline Ref *
ref_take(State *state)
{
    while (UNLIKELY(state->free == NULL)) { /* a finalizer may have emptied it again */
        PyObject *done = call_aside(state, state->refill, Py_None, Py_None);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    Ref *self = state->free;
    state->free = self->next;
    state->free_refs--;
#if REFS_KEEP_TYPE
    Py_SET_REFCNT((PyObject *)self, 1);
#else
    PyObject_Init((PyObject *)self, state->ref_type);
#endif
    return self;
}

static void
ref_dealloc(Ref *self)
{
    Ledger *ledger = self->ledger;
    if (LIKELY(ledger != NULL)) {
        ref_release(ledger->scope->state, self);
        Py_DECREF(ledger);
        return;
    }
    PyTypeObject *type = Py_TYPE(self); /* what counts nothing */
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *
tell_second_end(Ref *self)
{
    Scope *scope = self->ledger->scope;
    if (scope->warned == NULL && !(scope->warned = PySet_New(NULL)))
        return NULL;
    int is_told = PySet_Contains(scope->warned, self->ledger->key);
    if (is_told < 0)
        return NULL;
    if (is_told || scope->state->warn_of_second_end == NULL) /* or the interpreter is shutting down */
        Py_RETURN_NONE;
    PyObject *warn = scope->state->warn_of_second_end;
    return PyObject_CallFunctionObjArgs(warn, self->ledger->key, scope->warned, NULL);
}

/* Read a clock that was injected. Return -1 with an error set when it fails. */
static int
injected_now_ns(PyObject *clock, int64_t *now_ns)
{
    PyObject *now = PyObject_CallNoArgs(clock);
    if (now == NULL)
        return -1;
    long long value = PyLong_AsLongLong(now);
    Py_DECREF(now);
    if (value == -1 && PyErr_Occurred())
        return -1;
    *now_ns = value;
    return 0;
}

/* Nanoseconds between two readings of a clock that was injected, which may be as far apart as it likes. */
static int64_t
between(int64_t begin_ns, int64_t end_ns)
{
    if (end_ns <= begin_ns)
        return 0;
    uint64_t duration_ns = (uint64_t)end_ns - (uint64_t)begin_ns;
    return duration_ns > INT64_MAX ? INT64_MAX : (int64_t)duration_ns;
}

/* Read the clock of a tracker, which may be gone afterwards. Return -1 with an error set when it fails. */
static inline int
tracker_now_ns(Tracker *tracker, int64_t *now_ns)
{
    if (LIKELY(tracker->clock == NULL)) {
        *now_ns = clock_now_ns();
        return 0;
    }
    PyObject *clock = Py_NewRef(tracker->clock);
    int status = injected_now_ns(clock, now_ns);
    Py_DECREF(clock);
    return status;
}

/* How a use ends, which is seen when it begins. */
enum {
    PLAIN,    /* the clock is that of this module, and nobody records */
    SPECIAL,  /* the clock was injected */
    RECORDED, /* whatever the clock is */
};

static inline int
tracker_kind(const Tracker *self)
{
    return self->recorder != NULL ? RECORDED : self->clock != NULL ? SPECIAL : PLAIN;
}

/* End a use that is not plain. Return 0, or -1 with an error set. */
static int
end_special_use(Ledger *ledger, int64_t begin_ns, int kind)
{
    Scope *scope = ledger->scope;
    int64_t end_ns;
    if (scope->tracker == NULL)
        return 0;
    if (tracker_now_ns(scope->tracker, &end_ns) < 0 ||
        ledger_end(scope->state, ledger, between(begin_ns, end_ns)) < 0)
        return -1;
    Tracker *tracker = scope->tracker;
    if (kind == RECORDED && tracker != NULL && tracker->recorder != NULL)
        recorder_add(tracker->recorder, tracker->path, ledger->key, begin_ns, end_ns);
    return 0;
}

/* End a use. Return 0, or -1 with an error set. */
static inline int
end_use(Ledger *ledger, int64_t begin_ns, int kind)
{
    if (UNLIKELY(kind != PLAIN))
        return end_special_use(ledger, begin_ns, kind);
    int64_t duration_ns = clock_now_ns() - begin_ns; /* at first: what follows is not part of the use */
    return ledger_end(ledger->scope->state, ledger, duration_ns);
}

static inline PyObject *
ref_end(Ref *self)
{
    self->is_ended = 1;
    if (UNLIKELY(end_use(self->ledger, self->begin_ns, self->kind) < 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
ref_deref(Ref *self, PyObject *Py_UNUSED(nothing))
{
    if (UNLIKELY(self->ledger == NULL))
        Py_RETURN_NONE;
    if (UNLIKELY(self->is_ended))
        return tell_second_end(self);
    return ref_end(self);
}

static inline PyObject *
ref_exit(Ref *self, PyObject *error)
{
    if (UNLIKELY(self->ledger == NULL))
        Py_RETURN_NONE;
    if (LIKELY(!self->is_ended))
        return ref_end(self);
    if (!Py_IsNone(error)) /* the warning, made an error, would hide the real one */
        Py_RETURN_NONE;
    return tell_second_end(self);
}

/* What __enter__ and __exit__ of a reference call: see above. */
static PyObject *
ref_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (LIKELY(names == NULL)) {
        if (nargs == 3)
            return ref_exit((Ref *)self, args[1]);
        if (nargs == 0)
            return Py_NewRef(self);
    }
    return PyErr_Format(PyExc_TypeError, "a Ref is no function: end it by deref() or use it in a with block");
}

static PyMethodDef ref_methods[] = {
    {"deref", (PyCFunction)ref_deref, METH_NOARGS,
     "deref($self, /)\n--\n\nEnd the reference.\n\nWarns:\n    DoubleDerefWarning: It was ended before; nothing "
     "changed."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ref_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Ref, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot ref_slots[] = {
    {Py_tp_doc,
     "One started use of a key; ``Tracker.ref`` makes them.\n\nEnd it with ``deref()`` or by leaving a ``with`` "
     "block, in any thread or task, once. What comes later (a\nsecond ``deref()``, leaving a block whose reference "
     "was ended inside or before it) changes nothing and\nwarns, once for each key of a tracker. A reference that "
     "is dropped without an end stays active."},
    {Py_tp_dealloc, ref_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, ref_methods},
    {Py_tp_members, ref_members},
    {0, NULL},
};

static PyType_Spec ref_spec = {
    .name = "pytest_goref.tracker._speed.Ref",
    .basicsize = sizeof(Ref),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ref_slots,
};

/* ---- what ref() returns while tracking is disabled -------------------------------------------------------- */

/* There is one for each interpreter, so that its methods need no instance and are no descriptors. */
static PyObject *
stub_vectorcall(PyObject *self, PyObject *const *Py_UNUSED(args), size_t Py_UNUSED(nargsf), PyObject *Py_UNUSED(names))
{
    return Py_NewRef(((Stub *)self)->result);
}

static void
stub_dealloc(Stub *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMemberDef stub_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Stub, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot stub_slots[] = {
    {Py_tp_doc, "How what counts nothing is entered and left."},
    {Py_tp_dealloc, stub_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, stub_members},
    {0, NULL},
};

static PyType_Spec stub_spec = {
    .name = "pytest_goref.tracker._speed.Stub",
    .basicsize = sizeof(Stub),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = stub_slots,
};

static PyObject *
uncounted_deref(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(nothing))
{
    Py_RETURN_NONE;
}

/* That of a reference would do the same, but the interpreter calls only a type's own methods the fast way. */
static PyMethodDef uncounted_methods[] = {
    {"deref", uncounted_deref, METH_NOARGS, "deref($self, /)\n--\n\nDo nothing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot uncounted_slots[] = {
    {Py_tp_methods, uncounted_methods},
    {Py_tp_doc, "What ``ref`` returns while tracking is disabled: it does nothing, any number of times."},
    {0, NULL},
};

static PyType_Spec uncounted_spec = {
    .name = "pytest_goref.tracker._speed.Uncounted",
    .basicsize = sizeof(Ref),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = uncounted_slots,
};

/* ---- what __enter__ and __exit__ are --------------------------------------------------------------------- */

/* A reference stands for its own bound methods. Without an instance, as ExitStack asks, the gate is the method. */
static PyObject *
gate_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    return Py_NewRef(instance != NULL ? instance : self);
}

static PyObject *
gate_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (nargs < 1 || state == NULL || !PyObject_TypeCheck(args[0], state->ref_type))
        return PyErr_Format(PyExc_TypeError, "%S() needs a Ref", ((Gate *)self)->name);
    return ref_vectorcall(args[0], args + 1, (size_t)(nargs - 1), names);
}

static void
gate_dealloc(Gate *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->name);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMemberDef gate_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Gate, vectorcall), Py_READONLY, NULL},
    {"__name__", Py_T_OBJECT_EX, offsetof(Gate, name), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot gate_slots[] = {
    {Py_tp_doc, "How a reference is entered and left."},
    {Py_tp_dealloc, gate_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, gate_get},
    {Py_tp_members, gate_members},
    {0, NULL},
};

static PyType_Spec gate_spec = {
    .name = "pytest_goref.tracker._speed.Gate",
    .basicsize = sizeof(Gate),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = gate_slots,
};

/* ---- trackers ------------------------------------------------------------------------------------------- */

static PyModuleDef speed_module;

/* Return the state for a type or a subclass of it, which may have a module of its own or none. */
static State *
state_of_type(PyTypeObject *type)
{
    for (; type != NULL; type = PyType_GetSlot(type, Py_tp_base)) {
        if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE))
            break;
        PyObject *module = PyType_GetModule(type);
        if (module == NULL)
            PyErr_Clear();
        else if (PyModule_GetDef(module) == &speed_module)
            return state_of(module);
    }
    PyErr_SetString(PyExc_TypeError, "this is no subclass of Tracker");
    return NULL;
}

static PyObject *
type_error(const char *what, PyObject *got)
{
    PyObject *name = PyType_GetName(Py_TYPE(got));
    if (name == NULL)
        return NULL;
    PyErr_Format(PyExc_TypeError, "%s must be a str, got %U; convert it with str()", what, name);
    Py_DECREF(name);
    return NULL;
}

/* Return a new reference to an exact string: another type may compare as it pleases. */
static PyObject *
exact_str(PyObject *text, const char *what)
{
    if (!PyUnicode_Check(text))
        return type_error(what, text);
    return PyUnicode_FromObject(text);
}

static Tracker *
tracker_allocate(State *state, PyTypeObject *type)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Tracker *self = (Tracker *)allocate(type, 0); /* zeroed */
    if (self == NULL)
        return NULL;
    self->state = state;
    self->module = Py_NewRef(state->module);
    self->scope = PyMem_Calloc(1, sizeof(Scope));
    self->ledgers = PyDict_New();
    self->children = PyDict_New();
    self->name = PyUnicode_FromStringAndSize(NULL, 0);
    if (self->scope != NULL)
        *self->scope = (Scope){.users = 1, .state = state, .tracker = self};
    if (self->scope == NULL || self->ledgers == NULL || self->children == NULL || self->name == NULL)
        Py_CLEAR(self);
    return self;
}

static PyObject *
tracker_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    State *state = state_of_type(type);
    return state ? (PyObject *)tracker_allocate(state, type) : NULL;
}

static int
tracker_init(Tracker *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"clock_ns", NULL};
    PyObject *clock = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:Tracker", names, &clock))
        return -1;
    PyObject *old = self->clock;
    self->clock = clock == NULL || clock == self->state->native_clock ? NULL : Py_NewRef(clock);
    Py_XDECREF(old);
    return 0;
}

static int
tracker_traverse(Tracker *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->clock);
    Py_VISIT(self->parent);
    Py_VISIT(self->children);
    Py_VISIT(self->module);
    return 0; /* the rest is in no cycle */
}

static int
tracker_clear(Tracker *self)
{
    Py_CLEAR(self->clock);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->children);
    return 0;
}

static void
tracker_dealloc(Tracker *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    if (self->scope != NULL)
        self->scope->tracker = NULL;
    tracker_clear(self);
    Py_CLEAR(self->ledgers);
    Py_CLEAR(self->recorder);
    scope_release(self->scope);
    Py_CLEAR(self->name);
    Py_CLEAR(self->path);
    Py_CLEAR(self->module); /* the last: what is above may end references */
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* add_ledger(tracker, key): called by aside. */
static PyObject *
speed_add_ledger(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "add_ledger takes a tracker and a key");
    PyObject *ledgers = ((Tracker *)args[0])->ledgers, *key = args[1];
    if (PyDict_GetItemWithError(ledgers, key) != NULL)
        Py_RETURN_NONE;
    if (PyErr_Occurred())
        return NULL;
    Ledger *ledger = PyObject_New(Ledger, state_of(module)->ledger_type);
    if (ledger == NULL)
        return NULL;
    memset((char *)ledger + sizeof(PyObject), 0, sizeof(Ledger) - sizeof(PyObject));
    ledger->key = Py_NewRef(key);
    ledger->scope = ((Tracker *)args[0])->scope;
    ledger->scope->users++;
    ledger->index = PyDict_Size(ledgers);
    ledger->min_ns = INT64_MAX;
    int status = PyDict_SetItem(ledgers, key, (PyObject *)ledger);
    Py_DECREF(ledger);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

static Ledger *
tracker_make_ledger(Tracker *self, PyObject *key)
{
    PyObject *exact = exact_str(key, "the key of a reference");
    if (exact == NULL)
        return NULL;
    Ledger *ledger = NULL;
    do { /* again when there was a reset in between */
        ledger = (Ledger *)PyDict_GetItemWithError(self->ledgers, exact);
        if (ledger != NULL || PyErr_Occurred())
            break;
        PyObject *done = call_aside(self->state, self->state->add_ledger, (PyObject *)self, exact);
        if (done == NULL)
            break;
        Py_DECREF(done);
    } while (1);
    Py_XINCREF(ledger);
    Py_DECREF(exact);
    return ledger;
}

/* Return a new reference to the ledger of any valid key, made on first use. */
static inline Ledger *
tracker_ledger(Tracker *self, PyObject *key)
{
    Ledger **recent = self->recent + ((uintptr_t)key / 32 & (RECENT - 1));
    Ledger *ledger = *recent;
    if (LIKELY(ledger != NULL && ledger->key == key)) { /* the same constant in the program, most of the time */
        Py_INCREF(ledger);
        return ledger;
    }
    if (PyUnicode_CheckExact(key)) {
        ledger = (Ledger *)PyDict_GetItemWithError(self->ledgers, key);
        if (ledger != NULL) {
            if (ledger->key == key)
                *recent = ledger;
            Py_INCREF(ledger);
            return ledger;
        }
    }
    return PyErr_Occurred() ? NULL : tracker_make_ledger(self, key);
}

/* Return the one argument of a method, which may be named, or NULL with an error set. */
static inline PyObject *
only_argument(const char *method, const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    if (LIKELY(nargs == 1 && names == NULL))
        return args[0];
    if (nargs == 0 && names != NULL && PyTuple_Size(names) == 1 &&
        PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), name) == 0)
        return args[0];
    return PyErr_Format(PyExc_TypeError, "%s() takes one argument, %s", method, name);
}

static PyObject *
tracker_ref(Tracker *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    State *state = self->state;
    PyObject *key = only_argument("ref", "key", args, nargs, names);
    if (UNLIKELY(key == NULL))
        return NULL;
    if (!state->is_on)
        return Py_NewRef((PyObject *)state->uncounted);
    Ledger *ledger = tracker_ledger(self, key);
    if (UNLIKELY(ledger == NULL))
        return NULL;
    Ref *ref = ref_take(state);
    if (UNLIKELY(ref == NULL)) {
        Py_DECREF(ledger);
        return NULL;
    }
    ref->ledger = ledger;
    ref->is_ended = 0;
    ref->kind = (char)tracker_kind(self);
    if (UNLIKELY(tracker_now_ns(self, &ref->begin_ns) < 0)) {
        Py_DECREF(ref);
        return NULL;
    }
    ledger->begun++;
    return (PyObject *)ref;
}

/* Return the path of a tracker, borrowed, worked out on first use. */
static PyObject *
tracker_path(Tracker *self)
{
    if (self->path != NULL)
        return self->path;
    PyObject *path = PyList_New(0);
    for (Tracker *node = self; path != NULL && node->parent != NULL; node = (Tracker *)node->parent) {
        if (PyList_Insert(path, 0, node->name) < 0)
            Py_CLEAR(path);
    }
    PyObject *made = path ? PyList_AsTuple(path) : NULL;
    Py_XDECREF(path);
    if (self->path == NULL) /* what allocates may collect garbage, and so run Python code */
        self->path = made;
    else
        Py_XDECREF(made);
    return self->path;
}

static int
record_one(Tracker *self, void *recorder)
{
    if (recorder != NULL && tracker_path(self) == NULL)
        return -1;
    Recorder *old = self->recorder;
    self->recorder = (Recorder *)Py_XNewRef((PyObject *)recorder);
    Py_XDECREF((PyObject *)old);
    return 0;
}

static PyObject *
tracker_add_child(Tracker *self, PyObject *name)
{
    Tracker *child = tracker_allocate(self->state, self->state->tracker_type);
    if (child == NULL)
        return NULL;
    Py_DECREF(child->name);
    child->name = Py_NewRef(name);
    child->parent = Py_NewRef((PyObject *)self);
    child->clock = Py_XNewRef(self->clock);
    if (record_one(child, self->recorder) < 0) {
        Py_DECREF(child);
        return NULL;
    }
    PyObject *present = PyDict_GetItemWithError(self->children, name); /* what allocates may collect garbage */
    if (present != NULL || PyErr_Occurred() || PyDict_SetItem(self->children, name, (PyObject *)child) < 0) {
        Py_XINCREF(present);
        Py_DECREF(child);
        return present;
    }
    return (PyObject *)child;
}

/* Return a new reference to the child of a name, made on first use. */
static PyObject *
tracker_one_child(Tracker *self, PyObject *part, PyObject *whole)
{
    PyObject *name = exact_str(part, "the name of a scope");
    if (name == NULL)
        return NULL;
    PyObject *child = NULL;
    if (PyUnicode_GetLength(name) == 0) {
        PyErr_Format(self->state->invalid_value_error,
                     "the name of a scope must not be empty, got %R; leave the part out", whole);
    }
    else {
        child = PyDict_GetItemWithError(self->children, name);
        if (child != NULL)
            Py_INCREF(child);
        else if (!PyErr_Occurred())
            child = tracker_add_child(self, name);
    }
    Py_DECREF(name);
    return child;
}

static PyObject *
tracker_child(PyObject *self, PyObject *path)
{
    PyObject *node = Py_NewRef(self);
    for (Py_ssize_t i = 0; node != NULL && i < PyTuple_Size(path); i++) {
        PyObject *child = tracker_one_child((Tracker *)node, PyTuple_GetItem(path, i), path);
        Py_DECREF(node);
        node = child;
    }
    return node;
}

/* Return a list of the children: what is done with them may add more. */
static PyObject *
tracker_children(Tracker *self)
{
    return PyDict_Values(self->children);
}

static PyObject *snapshot_of(Tracker *self);

static PyObject *
snapshots_of_children(Tracker *self)
{
    PyObject *children = tracker_children(self);
    PyObject *snapshots = children ? PyDict_New() : NULL;
    for (Py_ssize_t i = 0; snapshots != NULL && i < PyList_Size(children); i++) {
        Tracker *child = (Tracker *)PyList_GetItem(children, i);
        PyObject *snapshot = snapshot_of(child);
        if (snapshot == NULL || PyDict_SetItem(snapshots, child->name, snapshot) < 0)
            Py_CLEAR(snapshots);
        Py_XDECREF(snapshot);
    }
    Py_XDECREF(children);
    return snapshots;
}

static PyObject *
snapshot_of(Tracker *self)
{
    State *state = self->state;
    if (Py_EnterRecursiveCall(" while taking a snapshot"))
        return NULL;
    PyObject *snapshot = NULL;
    PyObject *ts_ns = PyObject_CallMethod(state->time_module, "time_ns", NULL);
    PyObject *copy = ts_ns ? copy_of(state, self->ledgers) : NULL;
    PyObject *children = copy ? snapshots_of_children(self) : NULL;
    if (children != NULL)
        snapshot = PyObject_CallFunctionObjArgs(state->snapshot_type, copy, children, ts_ns, NULL);
    Py_XDECREF(ts_ns);
    Py_XDECREF(copy);
    Py_XDECREF(children);
    Py_LeaveRecursiveCall();
    return snapshot;
}

/* snapshot(tracker, None): called by aside. */
static PyObject *
speed_snapshot(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "snapshot takes a tracker and None");
    return snapshot_of((Tracker *)args[0]);
}

static PyObject *
tracker_snapshot(Tracker *self, PyObject *Py_UNUSED(nothing))
{
    return call_aside(self->state, self->state->snapshot, (PyObject *)self, Py_None);
}

typedef int (*Visit)(Tracker *self, void *argument);

/* Do something to a tracker and everything below it. */
static int
tracker_visit(Tracker *self, Visit visit, void *argument)
{
    if (visit(self, argument) < 0 || Py_EnterRecursiveCall(" in the children of a tracker"))
        return -1;
    PyObject *children = tracker_children(self);
    int status = children ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_Size(children); i++)
        status = tracker_visit((Tracker *)PyList_GetItem(children, i), visit, argument);
    Py_XDECREF(children);
    Py_LeaveRecursiveCall();
    return status;
}

static int
reset_one(Tracker *self, void *Py_UNUSED(argument))
{
    PyObject *ledgers = PyDict_New();
    if (ledgers == NULL)
        return -1;
    PyObject *old = self->ledgers; /* whoever holds a ledger of it writes where nobody reads */
    self->ledgers = ledgers;
    memset(self->recent, 0, sizeof(self->recent));
    self->epoch++;
    Py_DECREF(old);
    return 0;
}

static PyObject *
tracker_reset(Tracker *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"recursive", NULL};
    int recursive = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:reset", names, &recursive))
        return NULL;
    if ((recursive ? tracker_visit(self, reset_one, NULL) : reset_one(self, NULL)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
tracker_record(Tracker *self, PyObject *recorder)
{
    if (!Py_IsNone(recorder) && !Py_IS_TYPE(recorder, self->state->recorder_type))
        return PyErr_Format(PyExc_TypeError, "a tracker records in a Recorder or in None, got %R", recorder);
    if (tracker_visit(self, record_one, Py_IsNone(recorder) ? NULL : recorder) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
tracker_settle(Tracker *self, PyObject *Py_UNUSED(nothing))
{
    State *state = self->state;
    while (state->free_refs + REFILL <= LONGEST_FREE_LIST) {
        PyObject *done = call_aside(state, state->refill, Py_None, Py_None);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    if (state->free_blocks < BLOCKS_PER_CHUNK && blocks_add_aside(state) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
tracker_track(Tracker *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *target = Py_None;
    if ((nargs || names != NULL) && !(target = only_argument("track", "target", args, nargs, names)))
        return NULL;
    State *state = self->state;
    if (state->track == NULL) {
        PyObject *decorate = PyImport_ImportModule("pytest_goref.tracker.decorate");
        PyObject *track = decorate ? PyObject_GetAttrString(decorate, "track") : NULL;
        Py_XDECREF(decorate);
        if (track == NULL)
            return NULL;
        PyObject *other = state->track; /* another thread may have been faster */
        state->track = track;
        Py_XDECREF(other);
    }
    return PyObject_CallFunctionObjArgs(state->track, (PyObject *)self, target, NULL);
}

static PyObject *timed_new(Tracker *tracker, PyObject *function, PyObject *key);

static PyObject *
tracker_timed(Tracker *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "_timed() takes a function and a key");
    PyObject *key = exact_str(args[1], "the key of a function");
    PyObject *timed = key ? timed_new(self, args[0], key) : NULL;
    Py_XDECREF(key);
    return timed;
}

static PyObject *
tracker_repr(Tracker *self)
{
    PyObject *path = tracker_path(self);
    PyObject *slash = path ? PyUnicode_FromString("/") : NULL;
    PyObject *joined = slash ? PyUnicode_Join(slash, path) : NULL;
    Py_XDECREF(slash);
    if (joined == NULL)
        return NULL;
    PyObject *text = PyUnicode_GetLength(joined) ? PyUnicode_FromFormat("<Tracker %R>", joined)
                                                 : PyUnicode_FromString("<Tracker 'root'>");
    Py_DECREF(joined);
    return text;
}

static PyObject *
tracker_get_name(Tracker *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->name);
}

static PyObject *
tracker_get_parent(Tracker *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->parent ? self->parent : Py_None);
}

static PyObject *
tracker_get_path(Tracker *self, void *Py_UNUSED(closure))
{
    return Py_XNewRef(tracker_path(self));
}

static PyObject *
tracker_get_children(Tracker *self, void *Py_UNUSED(closure))
{
    return PyDict_Copy(self->children);
}

static PyObject *
tracker_get_is_on(Tracker *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->state->is_on);
}

static PyMethodDef tracker_methods[] = {
    {"ref", METHOD(tracker_ref), METH_FASTCALL | METH_KEYWORDS,
     "ref($self, /, key)\n--\n\nBegin a use of ``key``; end it with ``deref()`` or use it as a context manager.\n\n"
     "Raises:\n    TypeError: ``key`` is not a string."},
    {"track", METHOD(tracker_track), METH_FASTCALL | METH_KEYWORDS,
     "track($self, /, target=None)\n--\n\nCount every call of a function: ``@track`` or ``@track(\"key\")``.\n\n"
     "A call is active until it ends; that of a generator or coroutine from its first step to its last. The\n"
     "key is the function's module and qualified name unless given. While tracking is disabled, a function\n"
     "is returned as it is.\n\nRaises:\n    TypeError: what is decorated is not a function, or the key is not a "
     "string."},
    {"child", (PyCFunction)tracker_child, METH_VARARGS,
     "child($self, /, *path)\n--\n\nReturn the tracker at ``path`` below this one, made on first use; without a path "
     "this tracker.\n\nRaises:\n    InvalidValueError: a name is empty.\n    TypeError: a name is not a string."},
    {"snapshot", (PyCFunction)tracker_snapshot, METH_NOARGS,
     "snapshot($self, /)\n--\n\nReturn a copy of this tracker and its children that contains everything the caller "
     "did before."},
    {"reset", METHOD(tracker_reset), METH_VARARGS | METH_KEYWORDS,
     "reset($self, /, *, recursive=False)\n--\n\nForget every figure of this tracker; references begun before count "
     "nowhere when they end.\n\nArgs:\n    recursive: reset the children too. The children themselves stay."},
    {"record", (PyCFunction)tracker_record, METH_O,
     "record($self, recorder, /)\n--\n\nKeep the stamps of what begins and ends from now on in this tracker and "
     "its children.\n\nArgs:\n    recorder: a ``Recorder``; None stops recording.\n\nRaises:\n    TypeError: it "
     "is something else."},
    {"settle", (PyCFunction)tracker_settle, METH_NOARGS,
     "settle($self, /)\n--\n\nMake what the next references need now.\n\nWhat follows then takes the same steps, and "
     "the same memory, whatever came before."},
    {"_timed", METHOD(tracker_timed), METH_FASTCALL, "Return a function that counts the calls of another."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef tracker_getset[] = {
    {"name", (getter)tracker_get_name, NULL, "The last part of the path; empty for a root.", NULL},
    {"parent", (getter)tracker_get_parent, NULL, "The tracker this is a child of; None for a root.", NULL},
    {"path", (getter)tracker_get_path, NULL, "The names from the root, which has none, down to this tracker.", NULL},
    {"children", (getter)tracker_get_children, NULL, "The children by name, as a copy.", NULL},
    {"_is_on", (getter)tracker_get_is_on, NULL, "Whether references are counted.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef tracker_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Tracker, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tracker_slots[] = {
    {Py_tp_doc,
     "Tracker(*, clock_ns=time.perf_counter_ns)\n--\n\nA scope of keys in a tree of scopes; safe to use from any "
     "thread.\n\n``Tracker()`` makes an independent root; ``child`` makes the rest of a tree. A forked process goes "
     "on with\na copy of every figure; references active at the fork are active in both and end in each on their "
     "own,\nthose of threads that the child does not have never.\n\nArgs:\n    clock_ns: returns nanoseconds; "
     "durations are differences of two calls. Children inherit it."},
    {Py_tp_new, tracker_new},
    {Py_tp_init, tracker_init},
    {Py_tp_dealloc, tracker_dealloc},
    {Py_tp_traverse, tracker_traverse},
    {Py_tp_clear, tracker_clear},
    {Py_tp_repr, tracker_repr},
    {Py_tp_methods, tracker_methods},
    {Py_tp_getset, tracker_getset},
    {Py_tp_members, tracker_members},
    {0, NULL},
};

static PyType_Spec tracker_spec = {
    .name = "pytest_goref.tracker._speed.Tracker",
    .basicsize = sizeof(Tracker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = tracker_slots,
};

/* ---- functions that count their calls -------------------------------------------------------------------- */

/* Return a new reference to the ledger of this epoch, or NULL with an error set. */
static Ledger *
timed_renew(Timed *self)
{
    uint64_t epoch = self->tracker->epoch; /* read before: a reset in between makes this run again */
    Ledger *ledger = tracker_ledger(self->tracker, self->key);
    if (ledger == NULL)
        return NULL;
    Ledger *old = self->ledger;
    self->ledger = (Ledger *)Py_NewRef((PyObject *)ledger);
    self->epoch = epoch;
    Py_XDECREF((PyObject *)old);
    return ledger;
}

/* End a call that failed: its error stays, unless there is another meanwhile. */
static void
end_failed_use(Ledger *ledger, int64_t begin_ns, int kind)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (end_use(ledger, begin_ns, kind) == 0) {
        PyErr_Restore(type, error, traceback);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

static PyObject *
timed_vectorcall(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Timed *self = (Timed *)callable;
    Tracker *tracker = self->tracker;
    if (!tracker->state->is_on)
        return PyObject_Vectorcall(self->function, args, nargsf, names);
    Ledger *ledger = self->ledger;
    if (LIKELY(ledger != NULL && self->epoch == tracker->epoch)) {
        Py_INCREF(ledger);
    }
    else {
        ledger = timed_renew(self);
        if (ledger == NULL)
            return NULL;
    }
    int kind = tracker_kind(tracker);
    int64_t begin_ns;
    if (UNLIKELY(tracker_now_ns(tracker, &begin_ns) < 0)) {
        Py_DECREF(ledger);
        return NULL;
    }
    ledger->begun++;
    PyObject *result = PyObject_Vectorcall(self->function, args, nargsf, names);
    if (UNLIKELY(result == NULL))
        end_failed_use(ledger, begin_ns, kind);
    else if (UNLIKELY(end_use(ledger, begin_ns, kind) < 0))
        Py_CLEAR(result);
    Py_DECREF(ledger);
    return result;
}

static PyObject *
timed_new(Tracker *tracker, PyObject *function, PyObject *key)
{
    Timed *self = PyObject_GC_New(Timed, tracker->state->timed_type);
    if (self == NULL)
        return NULL;
    self->vectorcall = timed_vectorcall;
    self->function = Py_NewRef(function);
    self->tracker = (Tracker *)Py_NewRef((PyObject *)tracker);
    self->key = Py_NewRef(key);
    self->ledger = NULL;
    self->epoch = 0;
    self->dict = NULL;
    self->weakrefs = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int
timed_traverse(Timed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    Py_VISIT(self->tracker);
    Py_VISIT(self->dict);
    return 0;
}

/* The function and the tracker stay: a finalizer that calls this meanwhile finds them. What is in a cycle with it
   goes with its dictionary, or with their own. */
static int
timed_clear(Timed *self)
{
    Py_CLEAR(self->dict);
    return 0;
}

static void
timed_dealloc(Timed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    timed_clear(self);
    Py_CLEAR(self->function);
    Py_CLEAR(self->tracker);
    Py_CLEAR(self->key);
    Py_CLEAR(self->ledger);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
timed_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    if (instance == NULL)
        return Py_NewRef(self);
#ifndef Py_LIMITED_API
    return PyMethod_New(self, instance);
#else
    PyObject *method_type;
    if (take(&method_type, "types", "MethodType") < 0)
        return NULL;
    PyObject *method = PyObject_CallFunctionObjArgs(method_type, self, instance, NULL);
    Py_DECREF(method_type);
    return method;
#endif
}

static PyObject *
timed_repr(Timed *self)
{
    return PyUnicode_FromFormat("<tracked %R>", self->function);
}

/* Pickled by its name, as a function is. */
static PyObject *
timed_reduce(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return PyObject_GetAttrString(self, "__qualname__");
}

/* What frameworks ask of functions. */
static PyObject *
timed_get_of_function(Timed *self, void *name)
{
    return PyObject_GetAttrString(self->function, name);
}

static PyMethodDef timed_methods[] = {
    {"__reduce__", timed_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timed_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"__closure__", (getter)timed_get_of_function, NULL, NULL, "__closure__"},
    {"__code__", (getter)timed_get_of_function, NULL, NULL, "__code__"},
    {"__defaults__", (getter)timed_get_of_function, NULL, NULL, "__defaults__"},
    {"__globals__", (getter)timed_get_of_function, NULL, NULL, "__globals__"},
    {"__kwdefaults__", (getter)timed_get_of_function, NULL, NULL, "__kwdefaults__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef timed_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Timed, vectorcall), Py_READONLY, NULL},
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(Timed, dict), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Timed, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot timed_slots[] = {
    {Py_tp_doc, "A function that counts its calls."},
    {Py_tp_dealloc, timed_dealloc},
    {Py_tp_traverse, timed_traverse},
    {Py_tp_clear, timed_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, timed_get},
    {Py_tp_repr, timed_repr},
    {Py_tp_methods, timed_methods},
    {Py_tp_getset, timed_getset},
    {Py_tp_members, timed_members},
    {0, NULL},
};

static PyType_Spec timed_spec = {
    .name = "pytest_goref.tracker._speed.Timed",
    .basicsize = sizeof(Timed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = timed_slots,
};

/* ---- the module ------------------------------------------------------------------------------------------ */

static PyObject *
speed_enable(PyObject *module, PyObject *Py_UNUSED(nothing))
{
    state_of(module)->is_on = 1;
    Py_RETURN_NONE;
}

static PyObject *
speed_disable(PyObject *module, PyObject *Py_UNUSED(nothing))
{
    state_of(module)->is_on = 0;
    Py_RETURN_NONE;
}

static PyObject *
speed_is_enabled(PyObject *module, PyObject *Py_UNUSED(nothing))
{
    return PyBool_FromLong(state_of(module)->is_on);
}

static PyMethodDef speed_methods[] = {
    {"enable", speed_enable, METH_NOARGS,
     "enable()\n--\n\nCount references again, in every tracker; they are counted until ``disable`` is called."},
    {"disable", speed_disable, METH_NOARGS,
     "disable()\n--\n\nStop counting new references in every tracker; those that are active still end."},
    {"is_enabled", speed_is_enabled, METH_NOARGS, "is_enabled()\n--\n\nReturn whether references are counted."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef steps[] = {
    {"add_ledger", METHOD(speed_add_ledger), METH_FASTCALL, NULL},
    {"add_blocks", METHOD(speed_add_blocks), METH_FASTCALL, NULL},
    {"refill", METHOD(speed_refill), METH_FASTCALL, NULL},
    {"snapshot", METHOD(speed_snapshot), METH_FASTCALL, NULL},
};

/* Make a type, and show it in the module unless it is nobody's business. */
static int
add_type(PyObject *module, PyTypeObject **where, PyType_Spec *spec, int is_public)
{
    *where = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *where == NULL || (is_public && PyModule_AddType(module, *where) < 0) ? -1 : 0;
}

/* Let the main interpreter, which never unloads this module, not count who refers to an object that every use takes:
   that is worth a fiftieth of a use. */
static void
make_immortal(PyObject *object)
{
#if defined(_Py_IMMORTAL_REFCNT) && !defined(Py_LIMITED_API)
    if (PyInterpreterState_Get() == PyInterpreterState_Main())
        Py_SET_REFCNT(object, _Py_IMMORTAL_REFCNT);
#else
    (void)object;
#endif
}

/* Give references their __enter__ and __exit__. */
static int
add_gate(State *state, const char *name)
{
    Gate *gate = PyObject_New(Gate, state->gate_type);
    if (gate == NULL)
        return -1;
    gate->vectorcall = gate_vectorcall;
    gate->name = PyUnicode_FromString(name);
    make_immortal((PyObject *)gate);
    int status = gate->name ? PyObject_SetAttrString((PyObject *)state->ref_type, name, (PyObject *)gate) : -1;
    Py_DECREF(gate);
    return status;
}

/* Give what counts nothing a method that always returns the same. */
static int
add_stub(State *state, const char *name, PyObject *result)
{
    Stub *stub = PyObject_New(Stub, state->stub_type);
    if (stub == NULL)
        return -1;
    stub->vectorcall = stub_vectorcall;
    stub->result = result;
    make_immortal((PyObject *)stub);
    int status = PyObject_SetAttrString((PyObject *)state->uncounted_type, name, (PyObject *)stub);
    Py_DECREF(stub);
    return status;
}

/* Make what ref() returns while tracking is disabled, and its type. */
static int
add_uncounted(PyObject *module, State *state)
{
    PyObject *base = (PyObject *)state->ref_type;
    state->uncounted_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &uncounted_spec, base);
    state->uncounted = state->uncounted_type ? ref_allocate(state->uncounted_type) : NULL;
    if (state->uncounted == NULL)
        return -1;
    make_immortal((PyObject *)state->uncounted);
    return add_stub(state, "__enter__", (PyObject *)state->uncounted) < 0 ? -1
                                                                            : add_stub(state, "__exit__", Py_None);
}

static int
add_types(PyObject *module, State *state)
{
    if (add_type(module, &state->tracker_type, &tracker_spec, 1) < 0 ||
        add_type(module, &state->ref_type, &ref_spec, 1) < 0 ||
        add_type(module, &state->recorder_type, &recorder_spec, 1) < 0 ||
        add_type(module, &state->ledger_type, &ledger_spec, 0) < 0 ||
        add_type(module, &state->copy_type, &copy_spec, 0) < 0 ||
        add_type(module, &state->timed_type, &timed_spec, 0) < 0 ||
        add_type(module, &state->gate_type, &gate_spec, 0) < 0 ||
        add_type(module, &state->stub_type, &stub_spec, 0) < 0)
        return -1;
    return add_gate(state, "__enter__") < 0 || add_gate(state, "__exit__") < 0 ? -1 : 0;
}

static int
add_steps(PyObject *module, State *state)
{
    PyObject **places[] = {&state->add_ledger, &state->add_blocks, &state->refill, &state->snapshot};
    PyObject *name = PyUnicode_FromString("pytest_goref.tracker._speed");
    int status = name ? 0 : -1;
    for (int i = 0; status == 0 && i < 4; i++) {
        *places[i] = PyCFunction_NewEx(&steps[i], module, name);
        status = *places[i] ? 0 : -1;
    }
    Py_XDECREF(name);
    return status;
}

static int
speed_exec(PyObject *module)
{
    State *state = state_of(module);
    state->module = module;
    state->is_on = 1;
    if (clock_prepare() < 0 || take(&state->aside, "pytest_goref.tracker.aside", "aside") < 0 ||
        take(&state->warn_of_second_end, "pytest_goref.tracker.aside", "warn_of_second_end") < 0 ||
        take(&state->entry_type, "pytest_goref.tracker.entry", "Entry") < 0 ||
        take(&state->snapshot_type, "pytest_goref.tracker.snapshot", "Snapshot") < 0 ||
        take(&state->invalid_value_error, "pytest_goref.errors", "InvalidValueError") < 0 ||
        take(&state->native_clock, "time", "perf_counter_ns") < 0 ||
        !(state->time_module = PyImport_ImportModule("time")) || add_types(module, state) < 0 ||
        add_steps(module, state) < 0)
        return -1;
    return add_uncounted(module, state);
}

static int
speed_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = state_of(module);
    Py_VISIT(state->uncounted);
    for (int i = 0; REFS_KEEP_TYPE && i < state->free_refs; i++)
        Py_VISIT(state->ref_type);
    Py_VISIT(state->tracker_type);
    Py_VISIT(state->ref_type);
    Py_VISIT(state->ledger_type);
    Py_VISIT(state->copy_type);
    Py_VISIT(state->timed_type);
    Py_VISIT(state->recorder_type);
    Py_VISIT(state->gate_type);
    Py_VISIT(state->stub_type);
    Py_VISIT(state->uncounted_type);
    Py_VISIT(state->entry_type);
    Py_VISIT(state->snapshot_type);
    Py_VISIT(state->aside);
    Py_VISIT(state->warn_of_second_end);
    Py_VISIT(state->track);
    Py_VISIT(state->add_ledger);
    Py_VISIT(state->add_blocks);
    Py_VISIT(state->refill);
    Py_VISIT(state->snapshot);
    Py_VISIT(state->native_clock);
    Py_VISIT(state->time_module);
    Py_VISIT(state->invalid_value_error);
    return 0;
}

/* Types and errors stay until the end: trackers that are left may still be used by finalizers. */
static int
speed_clear(PyObject *module)
{
    State *state = state_of(module);
    Py_CLEAR(state->aside);
    Py_CLEAR(state->warn_of_second_end);
    Py_CLEAR(state->track);
    Py_CLEAR(state->add_ledger);
    Py_CLEAR(state->add_blocks);
    Py_CLEAR(state->refill);
    Py_CLEAR(state->snapshot);
    Py_CLEAR(state->native_clock);
    while (state->free != NULL) {
        Ref *ref = state->free;
        state->free = ref->next;
        PyObject_Free(ref);
        if (REFS_KEEP_TYPE)
            Py_DECREF(state->ref_type);
    }
    state->free_refs = 0;
    return 0;
}

static void
speed_free(void *module)
{
    State *state = state_of(module);
    speed_clear(module);
    while (state->chunks != NULL) { /* no ledger is left: each would keep its type, and that the module */
        Chunk *chunk = state->chunks;
        state->chunks = chunk->next;
        PyMem_Free(chunk);
    }
    Py_CLEAR(state->uncounted);
    Py_CLEAR(state->tracker_type);
    Py_CLEAR(state->ref_type);
    Py_CLEAR(state->ledger_type);
    Py_CLEAR(state->copy_type);
    Py_CLEAR(state->timed_type);
    Py_CLEAR(state->recorder_type);
    Py_CLEAR(state->gate_type);
    Py_CLEAR(state->stub_type);
    Py_CLEAR(state->uncounted_type);
    Py_CLEAR(state->entry_type);
    Py_CLEAR(state->snapshot_type);
    Py_CLEAR(state->time_module);
    Py_CLEAR(state->invalid_value_error);
}

static PyModuleDef_Slot speed_slots[] = {
    {Py_mod_exec, speed_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef speed_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speed",
    .m_doc = "The engine in C.\n\nPYTEST_DONT_REWRITE: an application may import this module before pytest starts.",
    .m_size = sizeof(State),
    .m_methods = speed_methods,
    .m_slots = speed_slots,
    .m_traverse = speed_traverse,
    .m_clear = speed_clear,
    .m_free = speed_free,
};

PyMODINIT_FUNC
PyInit__speed(void)
{
    return PyModuleDef_Init(&speed_module);
}
