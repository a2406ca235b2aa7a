"""Words with an id of their own. Frozen with the weights: new words are spelt in hashed pieces."""

VOCABULARY = tuple(
    """
! " # & ' 's ( ) , - -> . ... 0 1 10 11 12 13 14 15 16 17 18 19 2 20 3 4 5 6 7 8 9 : ; => ? a
able abort about account across adjacent advance after afternoon again agv agvs ahead aisle
aisles alarm all along alongside alright also always am amr amrs an and another answer any
anybody anybodys anyone anyones anywhere apples appreciate approach are area areas around
arrived as asap ask asked asking asks at avoid avoiding away azure back bag balance banana bare
bathroom battery bay bays be bed bedroom before begin behind being beings belay belongs bench
benches berth beside best between beware bicycle bill bin bins bit black blue book bot both
bother bots box boxes bread bring bringing broken brought brown bump but buy by bypass c cable
calculate call camera can cancel canteen capital car cardboard care careful carefully carpet
carried carry carrying cars cart carton cartons cat cease cellar chair change changed channel
charge charger chargers charging check chess circumvent clean clear close closest coffee coins
colleague colleagues collect color colored colour coloured come command computer container
containers control convey cook costs could count coworker coworkers crate crates crimson cross
crossing cup current currently curtains cushions dance dear define deliver delivered delivering
delivery deposit describe desk detour did different dinner directly discard dishes disregard
distance do dock docking docks dodge does dog doing door down drive driving drop due each eat
egg eight eighteen either election electric eleven emerald employee employees empty en end
energy ensure enter errand essay euro europallet europallets every everything exactly except
expected explain face faces facing far favor favour feed ferry fetch fetched fetching few
fifteen filled film find first five floor floors fold following football for forget fork
forklift forklifts forward founded four fourteen france friend from front full gangway gangways
garden gave get gets getting give glass glasses go goes going good goods grab grateful gravity
gray great green grey ground guitar guy guys half hallway halt hammer hand has haul have head
heating hello help her here hey hi high his history hit hitting hold hole home homework house
how human humans hurry hurt i identify if ignore immediately important in inflation inform
inside instead instruction interest into invented iron is it item jacket job joke jump just keep
keeping keys kind kindly kitchen ladder laden lamp lane lanes laptop last later latest laundry
lawn learning least leave left less let letter life lift lifts light like list listen little
living load loaded locate located location locations long longer longest look lot lots lug lying
machine maintain make making man mans many market matter may me meaning meantime meanwhile
medicine member members men mens might mind mission mixer mobile moment moon more morning
mortgage most mother move moved mow much music must my navigate navy near nearby nearest need
needed needs neither never nevermind news newspaper next nice nine nineteen no none nor not
notebook nothing now nr num number object of off office ok okay old olympics on once one ones
only onto open operator operators or orange order ordered other ought our out oven over pack
package packages packing pad pads paint pallet pallets parcel parcels park parked parking
parkings part pass patch patches pay pedestrian pedestrians people peoples person personnel
personnels persons personses phone photo photosynthesis pick picker pickers pickface pickfaces
picking pizza place placed places planets plants plastic plates play please plus point points
pool position possible president previous price proceed puddle puddles pull push put quick
quickly quit rack radio rain rate reach read real really rear recommend red reflective release
relocate remember remind remote report request require required requires retrieve return revoke
ride right river robot robots roll rome room route run safe safely safety said same sandwich say
scarlet schlep scrap scratch screwdriver sea search second see seek send sent set seven
seventeen several shall shift ship shipping shirt shoes should show shuttle side sing sits
sitting six sixteen skid skids skirt slippery slot slots so sofa some someone something
somewhere soon sorry space spaces speed spill spillage spillages spilled spills spot spots
stacked staff staffs stairs stand standing stands station stations stay staying steer steering
step stn stns stock stop storage stored stow straight supply supposed sure surface surfaces
swerve switch take taken taking tap task tea teach tell ten text thank thanks that the their
them then there these they thing think third thirteen this those three through ticket time times
tired to today together tomorrow top tote totes touch touching tow toward towards towel transfer
translate transport transported travel tree trip truck trucks try tub tubs turn twelve twenty
twice two umbrella unless unload unloaded until up urgently us use vacant vacuum vase vest
vested vicinity vis visibility visit vitamin viz volcano wagon wait waiting wall want wanted
wants warehouse was wash watch water waters way we wearing wears weather well were wet wets
whale what when where whether which while whilst white who whom whose why wide will window with
withdraw within without woman womans women womens wooden work worker workers workstation
workstations would write year yellow you your yourself zero zone zones
""".split()
)
