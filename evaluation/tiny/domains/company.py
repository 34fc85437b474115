"""A company: offices, their departments, the employees and the projects they work on."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

OFFICES = (
    "Harbor Point, Central Tower, Mill Lane, Park Plaza, North Gate, Station House, Bridge Street, Old Brewery, Garden "
    "Court, Market Hall, Sky Deck, Canal Side"
)

DEPARTMENTS = (
    "Sales, Marketing, Finance, Legal, Research, Customer Support, Human Resources, Logistics, Design, Security, Data "
    "Science, Procurement, Quality Control, Public Relations, Training, Facilities"
)

EMPLOYEES = (
    "Amelia Burke, Barry Sutton, Cynthia Hall, Derek Vaughn, Elaine Porter, Felix Romero, Gillian Pike, Hans Keller, "
    "Irene Walsh, Jerome Banks, Kathy Lin, Leon Fischer, Maria Santos, Norman Wright, Olive Harding, Pedro Alonso, "
    "Queenie Adams, Russell Cobb, Sandra Lowell, Tony Marino, Ulla Jansen, Vince Harper, Wilma Rhodes, Yusra Amin, "
    "Zack Thornton, Anna Lindt, Bill Cheney, Carol Dunne, Dennis Ogawa, Erin Foley, Frank Mosley, Gail Winters, Hugh "
    "Barton, Isabel Neves, Jim Calloway, Karen Stott, Lloyd Jensen, Mina Park, Neil Bishop, Opal Jennings, Pavel "
    "Dvorak, Rhonda Steele"
)

PROJECTS = (
    "Orion, Blue Sky, Falcon, Greenhouse, Compass, Lighthouse, Titan, Snowball, Bridgewater, Evergreen, Pegasus, "
    "Sandstone, Nightingale, Quicksilver, Aurora, Beacon, Cascade, Redwood, Mercury, Tidal"
)

DOMAIN = Domain(
    name="company",
    tables=(
        Table(
            "office",
            ("office",),
            ("offices",),
            (
                Column("office_id", "id"),
                Column("name", "name", ("name",), pool=tuple(OFFICES.split(", "))),
                Column("city", "category", ("city",), pool=("Denver", "Zurich", "Singapore", "Leeds", "Milan")),
                Column(
                    "rent", "number", ("rent", "monthly rent"), low=4000, high=68000, step=500,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="dollars",
                ),
                Column("parking", "flag", ("parking",)),
            ),
            rows=12,
        ),
        Table(
            "department",
            ("department", "division"),
            ("departments", "divisions"),
            (
                Column("department_id", "id"),
                Column("office_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(DEPARTMENTS.split(", "))),
                Column("budget", "number", ("budget",), low=80000, high=2400000, step=10000, unit="dollars"),
                Column(
                    "created", "year", ("creation year", "year of creation"), low=1984, high=2022,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
            ),
            rows=16,
        ),
        Table(
            "employee",
            ("employee", "worker"),
            ("employees", "workers"),
            (
                Column("employee_id", "id"),
                Column("department_id", "fk"),
                Column("full_name", "name", ("name", "full name"), pool=tuple(EMPLOYEES.split(", "))),
                Column(
                    "salary", "number", ("salary", "pay"), low=31000, high=142000, step=250,
                    most=("best paid", "highest paid"),
                    least=("worst paid", "lowest paid"), unit="dollars",
                ),
                Column(
                    "hired_on", "date", ("hire date", "date of hire"), low=2001, high=2024,
                    most=("most recently hired", "newest"), least=("longest serving",),
                ),
                Column(
                    "job", "category", ("job", "occupation"),
                    pool=("analyst", "engineer", "clerk", "designer", "manager", "accountant"),
                ),
                Column("remote", "flag", ("remote work",), adjective="remote"),
            ),
            rows=42,
        ),
        Table(
            "project",
            ("project",),
            ("projects",),
            (
                Column("project_id", "id"),
                Column("leader_id", "fk"),
                Column("sponsor_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(PROJECTS.split(", "))),
                Column(
                    "cost", "number", ("cost", "price"), low=9000, high=760000, step=1000,
                    more=("more expensive", "costlier"), less=("cheaper",), most=("most expensive", "costliest"),
                    least=("cheapest",), unit="dollars",
                ),
                Column(
                    "status", "category", ("status",), pool=("planned", "active", "paused", "finished"), adjective="{}",
                ),
                Column(
                    "deadline", "date", ("deadline", "due date"), low=2023, high=2026,
                    more=("later",), less=("earlier",), most=("latest",), least=("earliest",), nullable=0.1,
                ),
            ),
            rows=20,
        ),
        Table(
            "assignment",
            ("assignment",),
            ("assignments",),
            (
                Column("employee_id", "fk"),
                Column("project_id", "fk"),
                Column("hours", "number", ("hours", "number of hours"), low=4, high=220, step=2, unit="hours"),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("department", "office_id", "office", ("based in {}",), ("housing {}", "occupied by {}")),
        Link("employee", "department_id", "department", ("working in {}",), ("employing {}", "staffed by {}")),
        Link("project", "leader_id", "employee", ("led by {}", "headed by {}"), ("leading {}", "heading {}")),
        Link("project", "sponsor_id", "employee", ("sponsored by {}",), ("sponsoring {}",)),
        Link("assignment", "employee_id", "employee"),
        Link("assignment", "project_id", "project"),
    ),
    bridges=(
        Bridge(
            "assignment", "employee", "employee_id", "project", "project_id",
            ("assigned to {}", "who worked on {}"), ("worked on by {}", "staffed with {}"),
        ),
    ),
)
